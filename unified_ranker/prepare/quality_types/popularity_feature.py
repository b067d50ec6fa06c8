"""Quality feature `popularity`: how many of its events an item has had, beside the most popular item."""

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import Floats, Ints, Mask
from unified_ranker.core.errors import nearest
from unified_ranker.core.times import DAY
from unified_ranker.log.check import Check, counted
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality_types.base import QUALITY_FEATURES, QualityFeature


@QUALITY_FEATURES.declare
class PopularityFeature(QualityFeature):
    """log1p of the item's positives strictly before, divided by that of the most popular item."""

    counted_live: ClassVar[bool] = True

    type: Literal["popularity"]
    window_days: float | None = Field(None, gt=0)
    """Days before the request in which positives count; null: all."""
    event_types: tuple[str, ...] | None = None
    """Kinds of event that count in place of positives."""

    @property
    def window(self) -> int | None:
        """See `QualityFeature.window`; whole seconds, as times are."""
        return None if self.window_days is None else int(self.window_days * DAY)

    def checks(self, at: str, log: InteractionLog) -> Iterator[Check]:
        """See `QualityFeature.checks`."""
        if self.event_types is None:
            return
        found = log.events["event_type"].value_counts()
        known = [str(t) for t in found.index]
        for number, event_type in enumerate(self.event_types):
            yield Check(
                f"{at}.event_types[{number}]`: the log has `{event_type}` events",
                passed=event_type in known,
                found="no such event",
                what_to_do=f"name one of {counted(found)}.{nearest(event_type, known)}",
            )

    def counted(self, events: EventColumns) -> Mask:
        """See `QualityFeature.counted`."""
        return events.positive if self.event_types is None else np.isin(events.event_type, self.event_types)

    def streams(self, events: EventColumns) -> tuple[Stream, ...]:
        """See `QualityFeature.streams`: 1 for each event."""
        kept = self.counted(events)
        return (Stream(events.item[kept], events.timestamp[kept], np.ones(int(kept.sum()), np.float32)),)

    def constant(self, sums: Sequence[CountsAsOf], reference: int) -> float:
        """See `QualityFeature.constant`: log1p of the highest count."""
        highest = sums[0].matrix(np.array([reference]))[0].max(initial=0.0)
        return float(np.log1p(max(highest, 1.0)))

    def value(self, sums: Sequence[Floats], constant: float, created_at: Ints, time: Ints) -> np.ndarray:
        """See `QualityFeature.value`."""
        del created_at, time
        return scaled_popularity(sums[0], constant)


def scaled_popularity(counts: Floats, scale: float | Floats) -> Floats:
    """Return the popularity of items with `counts`; `scale` is the log1p of the highest count of the fit window."""
    return np.asarray(np.log1p(counts) / scale)
