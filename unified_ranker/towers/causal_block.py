"""Block of a causal transformer, and the buckets of the distance between two positions."""

import numpy as np

from unified_ranker.towers.normalisation import LayerNormalization
from unified_ranker.towers.tensorflow import tf

DISTANCE_BUCKETS = 32


class CausalBlock(tf.keras.layers.Layer):
    """Pre-norm self-attention and feed-forward; attention sees positions that are not later, and a bias by distance.

    Distances are bucketed as in T5 (arXiv 1910.10683, section 2.1), so a window may begin anywhere in a history.
    """

    def __init__(self, dim: int, heads: int, dropout: float) -> None:
        """Build with `heads` that divide `dim`."""
        super().__init__()
        self.heads, self.width = heads, dim // heads
        self.qkv = tf.keras.layers.Dense(3 * dim, use_bias=False)
        self.out = tf.keras.layers.Dense(dim)
        self.grow = tf.keras.layers.Dense(2 * dim, activation="gelu")
        self.shrink = tf.keras.layers.Dense(dim)
        self.norms = [LayerNormalization() for _ in range(2)]
        self.dropout = tf.keras.layers.Dropout(dropout)
        self.bias = self.add_weight("distance_bias", (DISTANCE_BUCKETS, heads), initializer="zeros")

    def call(self, x: tf.Tensor, distance: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return `[batch, positions, dim]`; a position depends on those that are not later only.

        Args:
            x: `[batch, positions, dim]`.
            distance: of each position after each other one, negative where that is later, `[batch, positions,
                positions]`; see `EventSeconds`.
            training: whether dropout is on.
        """
        x += self.dropout(self._attend(self.norms[0](x), distance), training=training)
        return x + self.dropout(self.shrink(self.grow(self.norms[1](x))), training=training)

    def _attend(self, x: tf.Tensor, distance: tf.Tensor) -> tf.Tensor:
        # Split, not sliced, because the gradient of each slice would be as large as the whole.
        q, k, v = (split_heads(part, self.heads) for part in tf.split(self.qkv(x), 3, -1))
        bias = distance_bias(self.bias, distance)
        future = tf.cast(distance < 0, tf.float32)[:, None] * -1e9
        scores = tf.matmul(q, k, transpose_b=True) * self.width**-0.5 + bias + future
        mixed = tf.matmul(tf.nn.softmax(scores), v)
        return self.out(join_heads(mixed))


def split_heads(x: tf.Tensor, heads: int) -> tf.Tensor:
    """Return `[batch, positions, dim]` as `[batch, heads, positions, dim / heads]`."""
    return tf.transpose(tf.reshape(x, [*tf.unstack(tf.shape(x)[:2]), heads, x.shape[2] // heads]), [0, 2, 1, 3])


def join_heads(x: tf.Tensor) -> tf.Tensor:
    """Return `[batch, heads, positions, width]` as `[batch, positions, heads * width]`."""
    joined = tf.transpose(x, [0, 2, 1, 3])
    return tf.reshape(joined, [*tf.unstack(tf.shape(joined)[:2]), x.shape[1] * x.shape[3]])


def distance_bias(table: tf.Variable, distance: tf.Tensor) -> tf.Tensor:
    """Return the biases in `table` `[buckets, heads]` of distances `[batch, n, n]`, `[batch, heads, n, n]`."""
    # By distance first, because a gradient of the table by pairs has a row for each of them.
    by_distance = tf.gather(table, distance_bucket(tf.range(tf.shape(distance)[1])))
    return tf.transpose(tf.gather(by_distance, tf.maximum(distance, 0)), [0, 3, 1, 2])


def distance_bucket(distance: tf.Tensor) -> tf.Tensor:
    """Number distances 0..15 singly and larger ones by powers of 2^(1/4); negative ones are 0."""
    exact = DISTANCE_BUCKETS // 2
    far = tf.cast(4.0 * tf.math.log(tf.cast(tf.maximum(distance, 1), tf.float32) / exact) / np.log(2.0), tf.int32)
    return tf.where(distance < exact, tf.maximum(distance, 0), tf.minimum(exact + far, DISTANCE_BUCKETS - 1))
