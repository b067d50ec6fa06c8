"""Block of Hierarchical Sequential Transduction Units, an alternative to a transformer block (HSTU)."""

from unified_ranker.towers.causal_block import (
    DISTANCE_BUCKETS,
    distance_bias,
    join_heads,
    split_heads,
)
from unified_ranker.towers.normalisation import LayerNormalization
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket


class HstuBlock(tf.keras.layers.Layer):
    """Pointwise attention without softmax, gated.

    y = x + linear(norm(A·V) ⊙ U), with U, V, Q, K = SiLU(linear(norm(x))) and A = SiLU(Q·Kᵀ + bias) / n, where n is the
    longest sequence.

    Attention weights are not normalised to sum 1, so many similar events count more than one. The bias is learnt by
    distance and by the time between two events, in buckets on a logarithmic scale. There is no feed-forward part.

    Reference: HSTU, arXiv 2402.17152, section 3, equations 1 to 3.
    """

    def __init__(self, dim: int, heads: int, dropout: float, longest: int) -> None:
        """Build with `heads` that divide `dim`, for sequences of at most `longest` positions."""
        super().__init__()
        self.heads, self.longest = heads, float(longest)
        self.mix = tf.keras.layers.Dense(4 * dim, activation="swish")
        self.out = tf.keras.layers.Dense(dim)
        # The sums over a history are small, so that Keras' epsilon of 0.001 would dominate their variance.
        self.norms = [LayerNormalization(epsilon=1e-6) for _ in range(2)]
        self.dropout = tf.keras.layers.Dropout(dropout)
        self.distance_bias = self.add_weight("distance_bias", (DISTANCE_BUCKETS, heads), initializer="zeros")
        self.time_bias = self.add_weight("time_bias", (GAP_BUCKETS, heads), initializer="zeros")

    def call(self, x: tf.Tensor, distance: tf.Tensor, moments: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return `[batch, positions, dim]`; a position depends on those that are not later only.

        Args:
            x: `[batch, positions, dim]`.
            distance: of each position after each other one, negative where that is later, `[batch, positions,
                positions]`; see `EventSeconds`.
            moments: time of each position, in seconds from any origin of its row, `[batch, positions]`.
            training: whether dropout is on.
        """
        # Split, not sliced, because the gradient of each slice would be as large as the whole.
        u, v, q, k = (split_heads(part, self.heads) for part in tf.split(self.mix(self.norms[0](x)), 4, -1))
        scores = tf.matmul(q, k, transpose_b=True) + self._bias(distance, moments)
        seen = tf.cast(distance >= 0, tf.float32)[:, None]
        attended = tf.matmul(tf.nn.silu(scores) * seen / self.longest, v)
        return x + self.out(self.dropout(self.norms[1](join_heads(attended)) * join_heads(u), training=training))

    def _bias(self, distance: tf.Tensor, moments: tf.Tensor) -> tf.Tensor:
        """Return the bias of each pair of positions, `[batch, heads, positions, positions]`."""
        between = tf.maximum(moments[:, :, None] - moments[:, None, :], 0)
        of_time = tf.transpose(tf.gather(self.time_bias, gap_bucket(between)), [0, 3, 1, 2])
        return distance_bias(self.distance_bias, distance) + of_time
