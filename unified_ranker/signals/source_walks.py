"""Signal `source_walks`: items that walks of one and two steps over chosen pairs lead to from the source item."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.partners import PartnerSignal
from unified_ranker.signals.source_pairs import chosen_pairs, need_source_items
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from unified_ranker.signals.pair_counts import PairsAsOf

WALK_SCALE = 1000.0
"""Scale of a walk's share before log1p: shares far below 1 / `WALK_SCALE` count as none."""


@SIGNALS.declare
class SourceWalks(SignalKind):
    """Probability that a walk of one or two steps over pairs of source and chosen item leads to a candidate."""

    type: Literal["source_walks"]
    neighbours: int = Field(200, ge=1)
    """Strongest partners that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        return need_source_items(config, log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return WalkSignal(inputs.once(chosen_pairs), inputs.end, self.neighbours, self.candidates)


class WalkSignal(PartnerSignal):
    """Shares of walks of one and two steps over the pairs of source and chosen item.

    The second step helps where few items were chosen from the source: it adds the items that were chosen from those
    few, as item-to-item graphs do (RP3beta: Paudel et al., TiiS 2017, whose graph has users between the items). Two
    channels: log1p of `WALK_SCALE` times the share, and the share.
    """

    channels = ("log share", "share")

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int) -> None:
        """Tabulate the walks over `pairs` before `end` (seconds), the `neighbours` likeliest of each item."""
        from unified_ranker.signals.walks import WalksAsOf, walk_table

        super().__init__(*walk_table(pairs, end, neighbours), proposed)
        self._walks = WalksAsOf(pairs, end)

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the source item, `[batch, 1]`."""
        return request.source_item[:, None]

    def as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        """See `PartnerSignal.as_of`."""
        found = self._walks.count(origins[:, 0], candidates, time)
        return np.stack([np.log1p(np.float32(WALK_SCALE) * found), found], -1)

    def summands(self, counts: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.summands`: the share."""
        del origins
        return counts

    def channels_of(self, sums: tf.Tensor) -> tf.Tensor:
        """See `PartnerSignal.channels_of`."""
        return tf.concat([tf.math.log1p(WALK_SCALE * sums), sums], -1)
