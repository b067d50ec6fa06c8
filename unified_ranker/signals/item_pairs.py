"""Signals from pairs of items: what was chosen from the source item, what follows the user's last items."""

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.signals.match import SignalRequest
from unified_ranker.signals.pair_counts import PairsAsOf, pair_table
from unified_ranker.signals.partners import PartnerSignal
from unified_ranker.signals.walks import SCALE, WalksAsOf, walk_table
from unified_ranker.towers.tensorflow import tf

PRIOR = 3.0
"""Pairs that are added to an item's total, so that one pair out of one is no certainty."""


class PairSignal(PartnerSignal):
    """Counts of (from, candidate) pairs, summed over the items that the request comes from.

    Three channels: log1p of the count, its share of all pairs that begin there, and log1p of the count in the other
    direction.
    """

    channels = 3

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int, name: str) -> None:
        """Tabulate `pairs` before `end` (seconds); `proposed` of the strongest partners become candidates."""
        table = pair_table(pairs, end, neighbours)
        super().__init__(table.starts, table.partners, np.stack([table.forward, table.backward], -1), proposed, name)
        self._pairs = pairs
        self.total = self._constant("total", table.total)

    def as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        """See `PartnerSignal.as_of`."""
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

    def summands(self, counts: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.summands`: count, share, count in the other direction."""
        share = counts[..., :1] / (tf.gather(self.total, self._rows(origins))[..., None, None] + PRIOR)
        return tf.concat([counts[..., :1], share, counts[..., 1:]], -1)

    def channels_of(self, sums: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.channels_of`."""
        ahead, share, behind = tf.unstack(sums, axis=-1)
        return tf.stack([tf.math.log1p(ahead), share, tf.math.log1p(behind)], -1)


class SourceSignal(PairSignal):
    """Pairs that begin with the request's source item."""

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the source item, `[batch, 1]`."""
        return request.source_item[:, None]


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


class WalkSignal(PartnerSignal):
    """Shares of walks of one and two steps over the pairs of source and chosen item.

    Where few chose anything from the source, what was chosen from what they chose says more: the second step is what
    item-to-item graphs add to counts (RP3beta: Paudel et al., TiiS 2017, whose graph has users between the
    items). Two channels: log1p of `SCALE` times the share, and the share.
    """

    channels = 2

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int) -> None:
        """Tabulate the walks over `pairs` before `end` (seconds), the `neighbours` likeliest of each item."""
        super().__init__(*walk_table(pairs, end, neighbours), proposed, "source_walks")
        self._walks = WalksAsOf(pairs, end)

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the source item, `[batch, 1]`."""
        return request.source_item[:, None]

    def as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        """See `PartnerSignal.as_of`."""
        found = self._walks.count(origins[:, 0], candidates, time)
        return np.stack([np.log1p(np.float32(SCALE) * found), found], -1)

    def summands(self, counts: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.summands`: the share."""
        del origins
        return counts

    def channels_of(self, sums: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.channels_of`."""
        return tf.concat([tf.math.log1p(SCALE * sums), sums], -1)
