"""The item tower: id, text, categories and numbers to one L2-normalised vector."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from unified_ranker.config import ItemTower
from unified_ranker.core.times import NEVER
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.feature_group import FeatureGroup, FeatureParts
from unified_ranker.towers.feature_types.base import SharedEncoders
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import TextEncoder
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket

OPEN = 2.0
"""Where an age gate begins: sigmoid(2) = 0.88 of an id."""


@dataclass(frozen=True, eq=False)
class EncodedItems:
    """Items after look-up.

    Attributes:
        row: of the table of ids, `[n]`; 0 for an unknown item.
        features: parts of their features, `[n, …]`.
        created: when they were created, seconds `[n]`, `NEVER` where absent; None where their age does not count.
        texts: sum of their embedded texts, `[n, dim]`, once the text encoder changes no more.
    """

    row: tf.Tensor
    features: FeatureParts
    created: tf.Tensor | None = None
    texts: tf.Tensor | None = None

    def at(self, rows: tf.Tensor) -> "EncodedItems":
        """Return the items at `rows` `[m]`."""
        created, texts = (None if c is None else tf.gather(c, rows) for c in (self.created, self.texts))
        return EncodedItems(tf.gather(self.row, rows), self.features.at(rows), created, texts)


class ItemEncoder(tf.keras.layers.Layer):
    """Sums what is known of an item into one unit vector.

    v = normalise(id + Σ text + MLP([categories, numbers]) + categories). Parts are summed, not concatenated and
    mixed, so that a word in a title keeps its direction and meets the same word in a query.

    The id is trained only for items that the fit window touched; any other id, and a random share of the trained ones
    in training, takes the vector of the unknown id, so that the content learns to stand alone (Netflix foundation
    model, 2025: random id masking). With an age gate the id counts by how old the item is: an id that few have met
    yet says little, and the gate learns from which age on it says more (the same, attention on entity age).
    """

    def __init__(
        self,
        config: ItemTower,
        vocabulary: Vocabulary,
        text: TextEncoder,
        categories: CategoryTable,
        trained_ids: np.ndarray,
        as_of: int = 0,
    ) -> None:
        """Build for a catalogue whose `trained_ids` `[items]` marks the items with events in the fit window.

        `as_of` (seconds) is the moment as of which items have their age where none is given: the end of that window.
        """
        super().__init__(name="item_tower")
        self.config, self.text, self.categories = config, text, categories
        self.features = FeatureGroup(config.features, SharedEncoders(text, categories, vocabulary.item_numbers))
        self.mask_rate = vocabulary.id_mask_rate
        self.trained = tf.constant(np.concatenate([[False], trained_ids]))
        self.ids = self.add_weight(
            "ids",
            (len(trained_ids) + 1, config.dim),
            initializer=tf.keras.initializers.RandomNormal(stddev=config.dim**-0.5),
        )
        if config.age_gate:
            # Nearly open, so that an id counts from the first step on; the last row is for items of unknown age.
            self.as_of = as_of
            self.age_gate = self.add_weight("age_gate", (GAP_BUCKETS + 1,), initializer=tf.constant_initializer(OPEN))
        self.hidden = tf.keras.layers.Dense(config.dim, activation="gelu")
        self.content = tf.keras.layers.Dense(config.dim)

    def encode(self, fields: Mapping[str, tf.Tensor], index: tf.Tensor, created: tf.Tensor) -> EncodedItems:
        """Look raw fields up.

        Args:
            fields: served inputs by column: strings `[n]` (lists `[n, width]`), numbers `[n]`.
            index: of each item, `[n]`; -1 when unknown.
            created: seconds `[n]`, `NEVER` where absent.
        """
        return EncodedItems(index + 1, self.features.look_up(fields), created if self.config.age_gate else None)

    def call(self, encoded: EncodedItems, training: bool = False, moments: tf.Tensor | None = None) -> tf.Tensor:
        """Return unit vectors `[n, dim]`.

        With an age gate `moments` `[n]` (seconds) says as of when each item is asked for.
        """
        ident = tf.where(tf.gather(self.trained, encoded.row), encoded.row, 0)
        if training and self.mask_rate > 0:
            masked = tf.random.uniform(tf.shape(ident)) < self.mask_rate
            ident = tf.where(masked, tf.zeros_like(ident), ident)
        own = tf.gather(self.ids, ident)
        if self.config.age_gate:
            own *= self.gate(encoded.created, moments)[:, None]
        total = own + self.read(encoded)
        side = []
        for part in self.features.contributions(encoded.features, reads_text=False):
            if part.vector is not None:
                total += part.vector
            if part.channels is not None:
                side.append(part.channels)
        if side:
            total += self.content(self.hidden(tf.concat(side, 1)))
        return tf.math.l2_normalize(total, 1)

    def gate(self, created: tf.Tensor, moments: tf.Tensor | None = None) -> tf.Tensor:
        """Return how much the ids of items created at `created` `[n]` (seconds) count at `moments` `[n]`, in (0, 1)."""
        when = tf.constant(self.as_of, tf.int64) if moments is None else moments
        dated = created != NEVER
        age = tf.maximum(when - tf.where(dated, created, when), 0)
        return tf.sigmoid(tf.gather(self.age_gate, tf.where(dated, gap_bucket(age), GAP_BUCKETS)))

    def settle(self, encoded: EncodedItems) -> EncodedItems:
        """Embed the texts for good, as long as the text encoder does not change."""
        return replace(encoded, features=self.features.without_texts(encoded.features), texts=self.read(encoded))

    def read(self, encoded: EncodedItems) -> tf.Tensor:
        """Return the sum of the embedded text features `[n, dim]`; zero without one."""
        if encoded.texts is not None:
            return encoded.texts
        total = tf.zeros([tf.shape(encoded.row)[0], self.config.dim])
        for part in self.features.contributions(encoded.features, reads_text=True):
            total += part.vector
        return total
