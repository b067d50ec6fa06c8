"""Quality vectors of a release's items inside the served graph."""

from collections.abc import Callable

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.freshness import freshness, query_factor, stored_factor
from unified_ranker.core.times import NEVER
from unified_ranker.model.catalogue import Catalogue
from unified_ranker.towers.array_functions import TENSORFLOW
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf


class QualityTable(tf.Module):
    """Quality of the release's items, with freshness as of the request.

    Item vectors hold one factor of freshness, query vectors the other (`core.freshness`); the origin is the end of the
    log.
    """

    def __init__(self, config: Config, catalogue: Catalogue) -> None:
        """Store the table, with one more row for unknown items."""
        super().__init__(name="quality")
        self.origin = catalogue.log_end
        self.counted = [list(config.towers.item.quality).index(name) for name in config.towers.item.popularities]
        self.scales = [feature.decay for feature in config.towers.item.quality.values()]
        self.table = tf.Variable(
            np.concatenate([catalogue.quality, catalogue.quality_unseen[None]]), trainable=False, dtype=tf.float32
        )
        self.created = tf.Variable(np.append(catalogue.created_at, NEVER), trainable=False, dtype=tf.int64)

    def at(self, indices: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Return quality `[batch, n, features]` of items `[batch, n]` (-1 = unknown) at times `[batch]` (seconds)."""
        rows = known_rows(self.table, indices)
        created = tf.gather(self.created, rows)
        return self._with(
            tf.gather(self.table, rows), lambda scale: freshness(created, time[:, None], scale, TENSORFLOW)
        )

    def stored(self, known: tf.Tensor, created: tf.Tensor) -> tf.Tensor:
        """Return the part of the item vector `[n, features]`: items at table rows `known` `[n]` (-1 = a new item)."""
        table = tf.gather(self.table, known_rows(self.table, known))
        return self._with(table, lambda scale: stored_factor(created, self.origin, scale, TENSORFLOW))

    def decay(self, time: tf.Tensor) -> tf.Tensor:
        """Return the query vector's factors `[batch, features]`, which are 1 for all features but freshness."""
        ones = tf.ones_like(time, tf.float32)
        return _stack([query_factor(time, self.origin, s, TENSORFLOW) if s else ones for s in self.scales], time)

    def counted_now(self, quality: tf.Tensor, popularity: tf.Tensor) -> tf.Tensor:
        """Return `quality` `[batch, n, features]` with popularities `[batch, n, popularities]`; NaN changes nothing."""
        columns = tf.unstack(quality, len(self.scales), axis=-1)
        for column, now in zip(self.counted, tf.unstack(popularity, len(self.counted), axis=-1), strict=True):
            columns[column] = tf.where(tf.math.is_nan(now), columns[column], now)
        return tf.stack(columns, -1)

    def _with(self, table: tf.Tensor, fresh: Callable[[float], tf.Tensor]) -> tf.Tensor:
        """Return the `table` `[…, features]` with every freshness replaced by `fresh` of its scale."""
        if not any(self.scales):
            return table
        columns = [fresh(scale) if scale else table[..., column] for column, scale in enumerate(self.scales)]
        return tf.stack(columns, -1)


def _stack(columns: list[tf.Tensor], like: tf.Tensor) -> tf.Tensor:
    return tf.stack(columns, 1) if columns else tf.zeros([tf.shape(like)[0], 0])
