"""Signals from pairs of items: what was chosen from the source item, what follows the user's last items."""

from abc import ABC, abstractmethod

import numpy as np

from unified_ranker.data.examples import MISSING
from unified_ranker.signals.match import SignalRequest
from unified_ranker.signals.pairs import PairsAsOf, pair_table
from unified_ranker.tensorflow import tf

PRIOR = 3.0
"""Pairs that are added to an item's total, so that one pair out of one is no certainty."""


class PairSignal(tf.keras.layers.Layer, ABC):
    """Counts of (from, candidate) pairs, summed over the items that the request comes from.

    Three channels: log1p of the count, its share of all pairs that begin there, and log1p of the count in the other
    direction. In training they are counted as of the example, so that no example sees itself; a served graph reads
    them from a table as of the end of the fit window.
    """

    channels = 3

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int, name: str) -> None:
        """Tabulate `pairs` before `end` (seconds); `proposed` of the strongest partners become candidates."""
        super().__init__(name=name)
        self._pairs, self._proposed = pairs, proposed
        table = pair_table(pairs, end, neighbours)
        self._widest = max(int(np.diff(table.starts).max()), 1)
        # One pair more, of no item: a table without any could not be gathered from.
        self.starts = self._constant("starts", table.starts)
        self.partners = self._constant("partners", np.append(table.partners, MISSING).astype(np.int32))
        counts = np.stack([table.forward, table.backward], -1)
        self.counts = self._constant("counts", np.concatenate([counts, np.zeros((1, 2), np.float32)]))
        self.total = self._constant("total", table.total)

    @abstractmethod
    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the items `[batch, origins]` that a request comes from; -1 where there is none."""

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        origins = self.origins(request)
        if time is not None:
            flat = tf.numpy_function(self._as_of, [origins, candidates, time], tf.float32)
            return tf.ensure_shape(flat, [None, None, self.channels])
        partners, place = self._partners(origins, self._widest)
        batch, width = tf.shape(partners)[0], tf.shape(partners)[1] * tf.shape(partners)[2]
        counts = tf.gather(self.counts, place)
        share = counts[..., :1] / (tf.gather(self.total, self._rows(origins))[..., None, None] + PRIOR)
        values = tf.concat([counts[..., :1], share, counts[..., 1:]], -1)
        values = tf.reshape(values, [batch, width, self.channels])
        asked, partners = tf.cast(candidates, tf.int32), tf.reshape(partners, [batch, width])
        same = (asked[:, :, None] == partners[:, None, :]) & (asked[:, :, None] >= 0)
        return _channels(tf.matmul(tf.cast(same, tf.float32), values))

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the strongest partners of each origin, in equal numbers."""
        origins = self.origins(request)
        each = min(self._proposed // max(origins.shape[1], 1), self._widest)
        partners, _ = self._partners(origins, each)
        partners = tf.pad(partners, [[0, 0], [0, 0], [0, each - tf.shape(partners)[2]]], constant_values=MISSING)
        return tf.reshape(tf.cast(partners, tf.int64), [-1, origins.shape[1] * each])

    def _rows(self, origins: tf.Tensor) -> tf.Tensor:
        return tf.where(origins < 0, tf.shape(self.total, tf.int64)[0] - 1, origins)

    def _partners(self, origins: tf.Tensor, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first partners of `origins` `[batch, origins, n]` and their places in the table; -1 where fewer.

        `n` is what the longest row of the batch needs, `most` at the most.
        """
        rows = self._rows(origins)
        begin = tf.gather(self.starts, rows)
        length = tf.minimum(tf.gather(self.starts, rows + 1) - begin, most)
        column = tf.range(tf.reduce_max(tf.concat([tf.reshape(length, [-1]), [0]], 0)))
        there = column < length[..., None]
        place = tf.where(there, begin[..., None] + column, tf.shape(self.partners, tf.int64)[0] - 1)
        return tf.gather(self.partners, place), place

    def _as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        shape = (len(origins), candidates.shape[1], origins.shape[1])
        first = np.broadcast_to(origins[:, None, :], shape).reshape(-1)
        second = np.broadcast_to(candidates[:, :, None], shape).reshape(-1)
        when = np.broadcast_to(time[:, None, None], shape).reshape(-1)
        ahead, behind = self._pairs.count(first, second, when), self._pairs.count(second, first, when)
        totals = self._pairs.total(origins.reshape(-1), np.repeat(time, origins.shape[1])).reshape(origins.shape)
        ahead, behind = ahead.reshape(shape), behind.reshape(shape)
        share = (ahead / (totals[:, None, :] + PRIOR)).sum(2)
        counts = np.stack([np.log1p(ahead.sum(2)), share, np.log1p(behind.sum(2))], -1)
        return counts.astype(np.float32)

    def _constant(self, name: str, value: np.ndarray) -> tf.Variable:
        # A variable, so that the graphs of all signatures share one copy.
        return self.add_weight(
            name, value.shape, dtype=value.dtype, initializer=lambda *_, **__: tf.constant(value), trainable=False
        )


class SourceSignal(PairSignal):
    """Pairs that begin with the request's source item."""

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the source item, `[batch, 1]`."""
        return request.source[:, None]


class SuccessionSignal(PairSignal):
    """Pairs that begin with one of the user's last items."""

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int, window: int, name: str) -> None:
        """Build for requests of which the last `window` items count."""
        super().__init__(pairs, end, neighbours, proposed, name)
        self._window = window

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the last items, newest first, each once, `[batch, window]`."""
        recent = request.recent[:, : self._window]
        again = (recent[:, :, None] == recent[:, None, :]) & (
            tf.range(self._window)[:, None] > tf.range(self._window)[None]
        )
        return tf.where(tf.reduce_any(again, 2), tf.constant(MISSING, tf.int64), recent)


def _channels(sums: tf.Tensor) -> tf.Tensor:
    ahead, share, behind = tf.unstack(sums, axis=-1)
    return tf.stack([tf.math.log1p(ahead), share, tf.math.log1p(behind)], -1)
