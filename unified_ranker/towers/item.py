"""Item tower: from id, text, categories and numbers to one L2-normalised vector."""

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

AGE_GATE_START = 2.0
"""First value of an age gate: sigmoid(2) = 0.88 of the id's vector."""


@dataclass(frozen=True, eq=False)
class EncodedItems:
    """Items after look-up.

    Attributes:
        row: rows of the table of ids, `[n]`; 0 for an unknown item.
        features: parts of their features, `[n, …]`.
        created: creation times, seconds `[n]`, `NEVER` where absent; None without an age gate.
        texts: sum of their embedded texts, `[n, dim]`, if the text encoder is frozen; otherwise None.
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
    """Unit vector of an item, the sum of its parts.

    v = normalise(id + Σ text + MLP([categories, numbers]) + categories). Parts are summed, not concatenated and
    mixed, so that a word in a title keeps its direction and meets the same word in a query.

    Ids are trained only for items with positives or in histories in the fit window. All other ids, and in training a
    random share of the trained ones, take the vector of the unknown id, so that the content is trained without the id,
    too (Netflix foundation model, 2025: random id masking). With an age gate the id is scaled by a learnt function of
    the item's age, because the id of a new item has had few events (the same source: attention on entity age).
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
        """Build for a catalogue whose `trained_ids` `[items]` marks the items that are learnt from in the fit window.

        `as_of` (seconds), the end of that window, is the time of an item's age where no other is given.
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
            # Ids count nearly in full from the first step on. The last row is for items of unknown age.
            self.as_of = as_of
            self.age_gate = self.add_weight(
                "age_gate", (GAP_BUCKETS + 1,), initializer=tf.constant_initializer(AGE_GATE_START)
            )
        self.hidden = tf.keras.layers.Dense(config.dim, activation="gelu")
        self.content = tf.keras.layers.Dense(config.dim)

    def encode(self, fields: Mapping[str, tf.Tensor], index: tf.Tensor, created: tf.Tensor) -> EncodedItems:
        """Look up raw fields.

        Args:
            fields: served inputs by column: strings `[n]` (lists `[n, width]`), numbers `[n]`.
            index: index of each item, `[n]`; -1 for an unknown one.
            created: creation times, seconds `[n]`, `NEVER` where absent.
        """
        return EncodedItems(index + 1, self.features.look_up(fields), created if self.config.age_gate else None)

    def call(
        self,
        encoded: EncodedItems,
        training: bool = False,
        moments: tf.Tensor | None = None,
        of_ids: tf.Tensor | None = None,
    ) -> tf.Tensor:
        """Return unit vectors `[n, dim]`.

        Args:
            encoded: the items, `[n]`.
            training: whether ids are masked at random.
            moments: with an age gate, times of the items' ages, `[n]` (seconds).
            of_ids: vectors of their ids, `[n, dim]`; None: by the table of ids.
        """
        own = self._of_ids(encoded.row, training) if of_ids is None else of_ids
        if self.config.age_gate:
            own *= self.gate(encoded.created, moments)[:, None]
        total = own + self.embed_texts(encoded)
        side = []
        for part in self.features.contributions(encoded.features, reads_text=False):
            if part.vector is not None:
                total += part.vector
            if part.channels is not None:
                side.append(part.channels)
        if side:
            total += self.content(self.hidden(tf.concat(side, 1)))
        return tf.math.l2_normalize(total, 1)

    def trained_vectors(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the table of ids without those that were not trained, for the served graph.

        Returns:
            The row of each row of the whole table, `[items + 1]`, which is that of the unknown id for all that were
            not trained; and the vectors, `[trained + 1, dim]`.
        """
        kept = np.flatnonzero(self.trained.numpy())
        row = np.zeros(len(self.trained), np.int32)
        row[kept] = np.arange(1, len(kept) + 1)
        return row, self.ids.numpy()[np.append(0, kept)]

    def _of_ids(self, row: tf.Tensor, training: bool) -> tf.Tensor:
        ident = tf.where(tf.gather(self.trained, row), row, 0)
        if training and self.mask_rate > 0:
            masked = tf.random.uniform(tf.shape(ident)) < self.mask_rate
            ident = tf.where(masked, tf.zeros_like(ident), ident)
        return tf.gather(self.ids, ident)

    def gate(self, created: tf.Tensor, moments: tf.Tensor | None = None) -> tf.Tensor:
        """Return the factor in (0, 1) of the ids of items created at `created` `[n]`, at `moments` `[n]` (seconds)."""
        when = tf.constant(self.as_of, tf.int64) if moments is None else moments
        dated = created != NEVER
        age = tf.maximum(when - tf.where(dated, created, when), 0)
        return tf.sigmoid(tf.gather(self.age_gate, tf.where(dated, gap_bucket(age), GAP_BUCKETS)))

    def precompute_texts(self, encoded: EncodedItems) -> EncodedItems:
        """Return the items with their texts embedded, for a frozen text encoder."""
        return replace(encoded, features=self.features.without_texts(encoded.features), texts=self.embed_texts(encoded))

    def embed_texts(self, encoded: EncodedItems) -> tf.Tensor:
        """Return the sum of the embedded text features, `[n, dim]`; zero if there is none."""
        if encoded.texts is not None:
            return encoded.texts
        total = tf.zeros([tf.shape(encoded.row)[0], self.config.dim])
        for part in self.features.contributions(encoded.features, reads_text=True):
            total += part.vector
        return total
