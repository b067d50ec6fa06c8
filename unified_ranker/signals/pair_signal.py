"""Base of the signals that count ordered pairs of items."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from unified_ranker.signals.partners import PartnerSignal
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from unified_ranker.signals.pair_counts import PairsAsOf

PRIOR = 3.0
"""Pairs that are added to an item's total, so that the share of a single pair is not 1."""


class PairSignal(PartnerSignal):
    """Counts of (origin, candidate) pairs, summed over the origins: items that the request starts from.

    Three channels: log1p of the count, its share of all pairs that begin with the origin, and log1p of the count in the
    other direction.
    """

    channels = ("count", "share", "count, reversed")

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int) -> None:
        """Tabulate `pairs` before `end` (seconds); `proposed` of the strongest partners become candidates."""
        from unified_ranker.signals.pair_counts import pair_table

        table = pair_table(pairs, end, neighbours)
        super().__init__(table.starts, table.partners, np.stack([table.forward, table.backward], -1), proposed)
        self._seen = pairs
        self.total = self.table("total", table.total)

    def as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        """See `PartnerSignal.as_of`."""
        shape = (len(origins), candidates.shape[1], origins.shape[1])
        first = np.broadcast_to(origins[:, None, :], shape).reshape(-1)
        second = np.broadcast_to(candidates[:, :, None], shape).reshape(-1)
        when = np.broadcast_to(time[:, None, None], shape).reshape(-1)
        ahead, behind = self._seen.count(first, second, when), self._seen.count(second, first, when)
        totals = self._seen.total(origins.reshape(-1), np.repeat(time, origins.shape[1])).reshape(origins.shape)
        ahead, behind = ahead.reshape(shape), behind.reshape(shape)
        share = (ahead / (totals[:, None, :] + PRIOR)).sum(2)
        counts = np.stack([np.log1p(ahead.sum(2)), share, np.log1p(behind.sum(2))], -1)
        return counts.astype(np.float32)

    def summands(self, counts: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.summands`: count, share, count in the other direction."""
        share = counts[..., :1] / (tf.gather(self.total, self.pairs.rows(origins))[..., None, None] + PRIOR)
        return tf.concat([counts[..., :1], share, counts[..., 1:]], -1)

    def channels_of(self, sums: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.channels_of`."""
        ahead, share, behind = tf.unstack(sums, axis=-1)
        return tf.stack([tf.math.log1p(ahead), share, tf.math.log1p(behind)], -1)
