"""User foundation tower: a causal sequence encoder over a user's events on all tasks."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unified_ranker.config import Hstu, UserTower
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.causal_block import CausalBlock
from unified_ranker.towers.event_seconds import EventSeconds
from unified_ranker.towers.feature_group import FeatureGroup, FeatureParts
from unified_ranker.towers.feature_types.base import SharedEncoders
from unified_ranker.towers.feature_types.number import number_channels
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.towers.hstu_block import HstuBlock
from unified_ranker.towers.lookup import NameTable
from unified_ranker.towers.normalisation import LayerNormalization
from unified_ranker.towers.served_columns import read_features
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket


class EventValues(tf.keras.layers.Layer):
    """Share of an event's value in its token: standardised by event type, so that its unit does not matter.

    A value of a type that had none in the fit window, and an absent one, are the same input.
    """

    def __init__(self, vocabulary: Vocabulary, dim: int) -> None:
        """Build for tokens of `dim`."""
        super().__init__(name="event_values")
        known = [vocabulary.event_values.get(name) for name in ("", *vocabulary.event_types)]
        # Typical value, mean and deviation by the index of the event type; a typical value of 0: none is known.
        self.scales = tf.constant(
            [(s.typical, s.scale.mean, s.scale.deviation) if s else (0.0, 0.0, 1.0) for s in known], tf.float32
        )
        self.dense = tf.keras.layers.Dense(dim)

    def call(self, event_type: tf.Tensor, value: tf.Tensor) -> tf.Tensor:
        """Return vectors `[…, dim]` of event types (indices) and values `[…]`, 0 where absent."""
        typical, mean, deviation = tf.unstack(tf.gather(self.scales, event_type), axis=-1)
        strength = tf.sign(value) * tf.math.log1p(tf.math.divide_no_nan(tf.abs(value), typical))
        absent = (value == 0.0) | (typical == 0.0)
        return self.dense(number_channels(strength, absent, mean, deviation))


class UserEncoder(tf.keras.layers.Layer):
    """User states of a history, one for each of its prefixes that divide no second.

    A token is an event: its item vector (of the item tower), event type, task, value and the gap to the second before.
    The sequence begins with the profile, so that state `p` depends on the profile and the first `p` events alone;
    state 0 is that of a user without a history. Events of one second have no order: they see each other, are equally
    far from all others, and the state after them is the mean of theirs. The blocks are those of a transformer or of
    HSTU. Their outputs are pooled by learnt weights, or only the last block's output is used.
    """

    def __init__(self, config: UserTower, vocabulary: Vocabulary, dim: int, categories: CategoryTable) -> None:
        """Build for item vectors and states of `dim`."""
        super().__init__(name="user_tower")
        self.config, self.categories = config, categories
        self.features = FeatureGroup(config.profile, SharedEncoders(None, categories, vocabulary.user_numbers))
        self.event_types = NameTable(vocabulary.event_types, dim, "event_types")
        self.tasks = NameTable(vocabulary.tasks, dim, "history_tasks")
        self.gaps = self.add_weight("gaps", (GAP_BUCKETS, dim), initializer="zeros")
        self.values = EventValues(vocabulary, dim)
        self.item = tf.keras.layers.Dense(dim)
        self.profile = tf.keras.layers.Dense(dim)
        self.begin = self.add_weight("begin", (dim,), initializer="zeros")
        encoder = config.encoder
        self.blocks = [self._block(dim) for _ in range(encoder.layers)]
        if encoder.pooling == "learnt":
            self.pool = self.add_weight("pool", (encoder.layers,), initializer="zeros")
        self.norm = LayerNormalization()
        self.dropout = tf.keras.layers.Dropout(encoder.dropout)

    def call(
        self,
        items: tf.Tensor,
        events: HistoryEvents,
        profile: FeatureParts,
        training: bool = False,
    ) -> tf.Tensor:
        """Return states `[batch, events + 1, dim]`; the state within a second is the one after it.

        Args:
            items: item vectors of the history, `[batch, events, dim]`.
            events: the events themselves, `[batch, events]`.
            profile: parts of the users' features, `[batch, …]`.
            training: whether dropout is on.
        """
        seconds = EventSeconds.of(events.gap)
        tokens = (
            self.item(items)
            + self.event_types.embed(events.event_type)
            + self.tasks.embed(events.task)
            + tf.gather(self.gaps, gap_bucket(seconds.of_first(events.gap)))
            + self.values(events.event_type, events.value)
        )
        start = self._profile(profile, tf.shape(items)[0])
        x = self.dropout(tf.concat([start[:, None], tokens], 1), training=training)
        timed: tuple[tf.Tensor, ...] = (seconds.distance,)
        if isinstance(self.config.encoder, Hstu):
            # The profile has the time of the first event, whose gap is 0.
            timed += (tf.pad(tf.cumsum(tf.cast(events.gap, tf.int64), 1), [[0, 0], [1, 0]]),)
        if self.config.encoder.pooling == "last":
            for block in self.blocks:
                x = block(x, *timed, training=training)
            return self.norm(seconds.mean(x))
        weights = tf.nn.softmax(self.pool)
        pooled = 0.0
        for layer, block in enumerate(self.blocks):
            x = block(x, *timed, training=training)
            pooled += weights[layer] * x
        return self.norm(seconds.mean(pooled))

    def _block(self, dim: int) -> tf.keras.layers.Layer:
        encoder = self.config.encoder
        if isinstance(encoder, Hstu):
            # One position more than there are events, for the profile.
            return HstuBlock(dim, encoder.heads, encoder.dropout, self.config.history_length + 1)
        return CausalBlock(dim, encoder.heads, encoder.dropout)

    def encode_profile(self, fields: Mapping[str, tf.Tensor]) -> FeatureParts:
        """Look up raw profile fields by column: strings and numbers `[n]`."""
        return self.features.look_up(fields)

    def _profile(self, profile: FeatureParts, batch: tf.Tensor) -> tf.Tensor:
        start = tf.tile(self.begin[None], [batch, 1])
        parts = [part.channels for part in self.features.contributions(profile) if part.channels is not None]
        return start + self.profile(tf.concat(parts, 1)) if parts else start


def user_fields(users: pd.DataFrame, config: UserTower) -> dict[str, np.ndarray]:
    """Return the raw profile fields of a table of users, and a last row for unknown users: "" and NaN."""
    known = read_features(users, config.profile)
    blank = read_features(pd.DataFrame({f.column: f.to_column([None]) for f in config.profile}), config.profile)
    return {
        name: np.concatenate([column, np.broadcast_to(blank[name], (1, *column.shape[1:]))])
        for name, column in known.items()
    }
