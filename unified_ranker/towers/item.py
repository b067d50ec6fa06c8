"""The item tower: id, text, categories and numbers to one L2-normalised vector."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from unified_ranker.config import CategoriesFeature, CategoryFeature, ItemTower, NumberFeature, TextFeature
from unified_ranker.core.times import NEVER
from unified_ranker.prepare.vocabulary import Scale, Vocabulary
from unified_ranker.towers.categories import CategoryTable
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import TextEncoder, Tokens
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket

OPEN = 2.0
"""Where an age gate begins: sigmoid(2) = 0.88 of an id."""
READ = "text"
"""Where an encoder that no longer changes has left the sum of an item's embedded texts, `[n, dim]`."""

EncodedItems = dict[str, tf.Tensor]
"""Item fields after look-up: `id` `[n]` and, per feature, indices or numbers `[n, width]`."""


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
        self.scales = vocabulary.item_numbers
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

    def encode(self, fields: Mapping[str, tf.Tensor], index: tf.Tensor) -> EncodedItems:
        """Look raw fields up: strings `[n]` (lists `[n, width]`), numbers `[n]`; `index` `[n]` is -1 when unknown."""
        out: EncodedItems = {"id": index + 1}
        for feature in self.config.features:
            raw = fields[feature.column]
            if isinstance(feature, TextFeature):
                for name, part in self.text.tokenise(raw).parts.items():
                    out[f"{feature.column}/{name}"] = part
            elif isinstance(feature, NumberFeature):
                value = tf.math.log1p(tf.maximum(raw, 0.0)) if feature.log else raw
                out[feature.column] = value
            else:
                indices = self.categories.index(feature.column, raw)
                out[feature.column] = indices if indices.shape.rank == 2 else indices[:, None]
        return out

    def call(self, encoded: EncodedItems, training: bool = False, moments: tf.Tensor | None = None) -> tf.Tensor:
        """Return unit vectors `[n, dim]`.

        With an age gate `encoded` has `created` `[n]` (seconds, the least int64 where absent) too, and `moments` `[n]`
        says as of when each item is asked for.
        """
        ident = tf.where(tf.gather(self.trained, encoded["id"]), encoded["id"], 0)
        if training and self.mask_rate > 0:
            masked = tf.random.uniform(tf.shape(ident)) < self.mask_rate
            ident = tf.where(masked, tf.zeros_like(ident), ident)
        own = tf.gather(self.ids, ident)
        if self.config.age_gate:
            own *= self.gate(encoded["created"], moments)[:, None]
        total = own + self.read(encoded)
        side = []
        for feature in self.config.features:
            if isinstance(feature, TextFeature):
                continue
            if isinstance(feature, NumberFeature):
                side.append(number_channels(encoded[feature.column], self.scales[feature.column]))
            else:
                vectors = self.categories.embed(encoded[feature.column])
                mean = tf.reduce_sum(vectors, 1) / tf.maximum(
                    tf.reduce_sum(tf.cast(encoded[feature.column] > 0, tf.float32), 1, keepdims=True), 1.0
                )
                total += mean
                side.append(mean)
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
        texts = {
            f"{f.column}/{part}" for f in self.config.features if isinstance(f, TextFeature) for part in self.text.parts
        }
        rest = {name: value for name, value in encoded.items() if name not in texts}
        return {**rest, READ: self.read(encoded)} if texts else rest

    def read(self, encoded: EncodedItems) -> tf.Tensor:
        """Return the sum of the embedded text features `[n, dim]`; zero without one."""
        if READ in encoded:
            return encoded[READ]
        total = tf.zeros([tf.shape(encoded["id"])[0], self.config.dim])
        for feature in self.config.features:
            if isinstance(feature, TextFeature):
                total += self.text.embed(
                    Tokens({name: encoded[f"{feature.column}/{name}"] for name in self.text.parts})
                )
        return total


def number_channels(value: tf.Tensor, scale: Scale) -> tf.Tensor:
    """Standardise a number `[n]` (NaN = absent) into channels `[n, 4]`.

    They are the value, within four deviations, its square, on which side of the mean it lies, and whether it is absent.
    """
    absent = tf.math.is_nan(value)
    z = tf.where(absent, tf.zeros_like(value), (value - scale.mean) / scale.deviation)
    z = tf.clip_by_value(z, -4.0, 4.0)
    return tf.stack([z, z * z / 4.0, tf.tanh(3.0 * z), tf.cast(absent, tf.float32)], 1)


def item_fields(items: pd.DataFrame, config: ItemTower) -> dict[str, np.ndarray]:
    """Return the raw fields of a table of items as the item tower takes them: "" and NaN where absent."""
    out: dict[str, np.ndarray] = {}
    for feature in config.features:
        column = items[feature.column]
        if isinstance(feature, NumberFeature):
            out[feature.column] = column.to_numpy(np.float32, na_value=np.nan)
        elif isinstance(feature, CategoriesFeature):
            out[feature.column] = pad_lists([[] if v is None else [str(x) for x in v] for v in column])
        else:
            text = column.astype("string" if isinstance(feature, CategoryFeature) else column.dtype)
            out[feature.column] = text.fillna("").to_numpy(object)
    return out


def pad_lists(rows: list[list[str]]) -> np.ndarray:
    """Return lists of strings as one array `[rows, longest]`, padded by ""."""
    width = max((len(r) for r in rows), default=0) or 1
    out = np.full((len(rows), width), "", object)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out
