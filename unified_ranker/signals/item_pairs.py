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
        self.partners = self._constant("partners", table.partners)
        self.counts = self._constant("counts", np.stack([table.forward, table.backward], -1))
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
        rows = tf.where(origins < 0, tf.shape(self.total, tf.int64)[0] - 1, origins)
        width = origins.shape[1] * self.partners.shape[1]
        partners = tf.reshape(tf.gather(self.partners, rows), [-1, width])
        counts = tf.gather(self.counts, rows)
        share = counts[..., :1] / (tf.gather(self.total, rows)[..., None, None] + PRIOR)
        values = tf.reshape(tf.concat([counts[..., :1], share, counts[..., 1:]], -1), [-1, width, self.channels])
        same = (candidates[:, :, None] == partners[:, None, :]) & (candidates[:, :, None] >= 0)
        return _channels(tf.matmul(tf.cast(same, tf.float32), values))

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the strongest partners of each origin, in equal numbers."""
        origins = self.origins(request)
        each = min(self._proposed // max(origins.shape[1], 1), self.partners.shape[1])
        rows = tf.where(origins < 0, tf.shape(self.total, tf.int64)[0] - 1, origins)
        return tf.reshape(tf.gather(self.partners, rows)[:, :, :each], [-1, origins.shape[1] * each])

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
