"""Quality feature `positive_share`: the share of an item's events that are positives."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.log.check import Check
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality_types.base import QUALITY_FEATURES, QualityFeature


@QUALITY_FEATURES.declare
class PositiveShare(QualityFeature):
    """Share of the item's events strictly before that are positives, shrunk to that of all items."""

    type: Literal["positive_share"]
    prior: float = Field(5.0, gt=0)
    """Events with the share of all items that are added to the item's own."""

    def checks(self, at: str, log: InteractionLog) -> Iterator[Check]:
        """See `QualityFeature.checks`."""
        yield Check(f"{at}`: the log has events", len(log.events) > 0, found="none", what_to_do="remove the feature")

    def streams(self, events: EventColumns) -> tuple[Stream, ...]:
        """See `QualityFeature.streams`: 1 for each positive, and 1 for each event."""
        item, time = events.item, events.timestamp
        return Stream(item, time, events.positive.astype(np.float32)), Stream(item, time, np.ones(len(item), "f"))

    def constant(self, sums: Sequence[CountsAsOf], reference: int) -> float:
        """See `QualityFeature.constant`: the share of all items."""
        positives = sums[0].stream
        before = positives.amount[positives.time < reference]
        return float(before.mean()) if len(before) else 0.0

    def value(self, sums: Sequence[Floats], constant: float, created_at: Ints, time: Ints) -> np.ndarray:
        """See `QualityFeature.value`."""
        del created_at, time
        return (sums[0] + self.prior * constant) / (sums[1] + self.prior)

    def unseen(self, constant: float) -> float:
        """See `QualityFeature.unseen`."""
        return constant
