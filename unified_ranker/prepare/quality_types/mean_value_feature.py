"""Quality feature `mean_value`: the mean of the values of an item's events, such as its rating."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.log.check import Check, counted
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality_types.base import QUALITY_FEATURES, QualityFeature


@QUALITY_FEATURES.declare
class MeanValueFeature(QualityFeature):
    """Mean `value` of the item's events strictly before, shrunk to the mean of all items."""

    type: Literal["mean_value"]
    prior: float = Field(10.0, gt=0)
    """Events at the mean of all items that are added to the item's own; more of them shrink harder."""

    def checks(self, at: str, log: InteractionLog) -> Iterator[Check]:
        """See `QualityFeature.checks`."""
        valued = log.events.loc[log.events["value"].notna(), "event_type"].value_counts()
        yield Check(
            f"{at}`: events have a `value`",
            passed=len(valued) > 0,
            found="no event has one",
            what_to_do="remove the feature, or add values to the events table",
        )
        yield Check(
            f"{at}`: values are of one kind of event",
            passed=len(valued) <= 1,
            found=f"{counted(valued)} have values",
            what_to_do="one mean is taken over all of them; remove the feature if their scales differ",
            severity="warning",
        )

    def streams(self, events: EventColumns) -> tuple[Stream, ...]:
        """See `QualityFeature.streams`: the values, and 1 for each of them."""
        kept = ~np.isnan(events.value)
        item, time, value = events.item[kept], events.timestamp[kept], events.value[kept]
        return Stream(item, time, value), Stream(item, time, np.ones_like(value))

    def constant(self, sums: Sequence[CountsAsOf], reference: int) -> float:
        """See `QualityFeature.constant`: the mean of all values."""
        values = sums[0].stream
        before = values.amount[values.time < reference]
        return float(before.mean(dtype=np.float64)) if len(before) else 0.0

    def value(self, sums: Sequence[Floats], constant: float, created_at: Ints, time: Ints) -> np.ndarray:
        """See `QualityFeature.value`."""
        del created_at, time
        total, count = sums
        return (total + self.prior * constant) / (count + self.prior)

    def unseen(self, constant: float) -> float:
        """See `QualityFeature.unseen`: the mean of all items."""
        return constant
