"""The user foundation tower: a causal transformer over everything that a user did."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unified_ranker.config import CategoryFeature, NumberFeature, UserTower
from unified_ranker.data.vocabulary import Vocabulary
from unified_ranker.tensorflow import tf
from unified_ranker.towers.categories import CategoryTable
from unified_ranker.towers.item import number_channels
from unified_ranker.towers.lookup import Names
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket

DISTANCE_BUCKETS = 32
LIKED_FROM = 4.0
"""The value from which a rating counts as a like (design section 4), as a hint beside the value itself."""


class UserEncoder(tf.keras.layers.Layer):
    """Turns a history into one state per prefix.

    A token is an event: its item vector (through the item tower), event type, task, value and the gap to the event
    before. The sequence begins with the profile, so that state `p` knows the profile and the first `p` events and
    nothing later; state 0 is a user with no history. Layer outputs are pooled by learnt weights.
    """

    def __init__(self, config: UserTower, vocabulary: Vocabulary, dim: int, categories: CategoryTable) -> None:
        """Build for item vectors and states of `dim`."""
        super().__init__(name="user_tower")
        self.config, self.categories, self.scales = config, categories, vocabulary.user_numbers
        self.event_types = Names(vocabulary.event_types, dim, "event_types")
        self.tasks = Names(vocabulary.tasks, dim, "history_tasks")
        self.gaps = self.add_weight("gaps", (GAP_BUCKETS, dim), initializer="zeros")
        self.value = tf.keras.layers.Dense(dim)
        self.item = tf.keras.layers.Dense(dim)
        self.profile = tf.keras.layers.Dense(dim)
        self.begin = self.add_weight("begin", (dim,), initializer="zeros")
        encoder = config.encoder
        self.blocks = [CausalBlock(dim, encoder.heads, encoder.dropout) for _ in range(encoder.layers)]
        self.pool = self.add_weight("pool", (encoder.layers,), initializer="zeros")
        self.norm = tf.keras.layers.LayerNormalization()
        self.dropout = tf.keras.layers.Dropout(encoder.dropout)

    def call(
        self,
        items: tf.Tensor,
        events: Mapping[str, tf.Tensor],
        profile: Mapping[str, tf.Tensor],
        training: bool = False,
    ) -> tf.Tensor:
        """Return states `[batch, events + 1, dim]`.

        Args:
            items: item vectors of the history, `[batch, events, dim]`.
            events: `event_type`, `task` (indices), `gap` (seconds), `value`: each `[batch, events]`.
            profile: encoded profile columns (see `encode_profile`), each `[batch, ...]`.
            training: whether dropout is on.
        """
        value = events["value"]
        tokens = (
            self.item(items)
            + self.event_types.embed(events["event_type"])
            + self.tasks.embed(events["task"])
            + tf.gather(self.gaps, gap_bucket(events["gap"]))
            + self.value(tf.stack([value, tf.math.log1p(tf.abs(value)), tf.cast(value >= LIKED_FROM, tf.float32)], -1))
        )
        start = self._profile(profile, tf.shape(items)[0])
        x = self.dropout(tf.concat([start[:, None], tokens], 1), training=training)
        weights = tf.nn.softmax(self.pool)
        pooled = 0.0
        for layer, block in enumerate(self.blocks):
            x = block(x, training=training)
            pooled += weights[layer] * x
        return self.norm(pooled)

    def encode_profile(self, fields: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Look up raw profile fields: strings and numbers `[n]`."""
        out = {}
        for feature in self.config.profile:
            raw = fields[feature.column]
            if isinstance(feature, NumberFeature):
                out[feature.column] = tf.math.log1p(tf.maximum(raw, 0.0)) if feature.log else raw
            else:
                out[feature.column] = self.categories.index(feature.column, raw)
        return out

    def _profile(self, profile: Mapping[str, tf.Tensor], batch: tf.Tensor) -> tf.Tensor:
        start = tf.tile(self.begin[None], [batch, 1])
        parts = []
        for feature in self.config.profile:
            column = profile[feature.column]
            if isinstance(feature, NumberFeature):
                parts.append(number_channels(column, self.scales[feature.column]))
            else:
                parts.append(self.categories.embed(column))
        return start + self.profile(tf.concat(parts, 1)) if parts else start


class CausalBlock(tf.keras.layers.Layer):
    """Pre-norm self-attention and feed-forward; attention sees earlier positions and a bias by distance.

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
        self.norms = [tf.keras.layers.LayerNormalization() for _ in range(2)]
        self.dropout = tf.keras.layers.Dropout(dropout)
        self.bias = self.add_weight("distance_bias", (DISTANCE_BUCKETS, heads), initializer="zeros")

    def call(self, x: tf.Tensor, training: bool = False) -> tf.Tensor:
        """Return `[batch, positions, dim]`; position i depends on positions up to i only."""
        x += self.dropout(self._attend(self.norms[0](x)), training=training)
        return x + self.dropout(self.shrink(self.grow(self.norms[1](x))), training=training)

    def _attend(self, x: tf.Tensor) -> tf.Tensor:
        batch, length = tf.shape(x)[0], tf.shape(x)[1]
        qkv = tf.reshape(self.qkv(x), [batch, length, 3, self.heads, self.width])
        q, k, v = (tf.transpose(qkv[:, :, i], [0, 2, 1, 3]) for i in range(3))
        distance = tf.range(length)[:, None] - tf.range(length)[None, :]
        bias = tf.transpose(tf.gather(self.bias, distance_bucket(distance)), [2, 0, 1])
        future = tf.cast(distance < 0, tf.float32) * -1e9
        scores = tf.matmul(q, k, transpose_b=True) * self.width**-0.5 + bias + future
        mixed = tf.matmul(tf.nn.softmax(scores), v)
        return self.out(tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [batch, length, self.heads * self.width]))


def distance_bucket(distance: tf.Tensor) -> tf.Tensor:
    """Number distances 0..15 singly and larger ones by powers of 2^(1/4); negative ones are 0."""
    exact = DISTANCE_BUCKETS // 2
    far = tf.cast(4.0 * tf.math.log(tf.cast(tf.maximum(distance, 1), tf.float32) / exact) / np.log(2.0), tf.int32)
    return tf.where(distance < exact, tf.maximum(distance, 0), tf.minimum(exact + far, DISTANCE_BUCKETS - 1))


def user_fields(users: pd.DataFrame, config: UserTower) -> dict[str, np.ndarray]:
    """Return the raw profile fields of a table of users, with one row more, for unknown users: "" and NaN."""
    out: dict[str, np.ndarray] = {}
    for feature in config.profile:
        column = users[feature.column]
        if isinstance(feature, CategoryFeature):
            values = column.astype("string").fillna("").to_numpy(object)
            out[feature.column] = np.concatenate([values, np.array([""], object)])
        else:
            out[feature.column] = np.append(column.to_numpy(np.float32, na_value=np.nan), np.float32(np.nan))
    return out
