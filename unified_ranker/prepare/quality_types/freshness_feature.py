"""Quality feature `freshness`: how new an item is."""

from collections.abc import Iterator, Sequence
from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.freshness import freshness
from unified_ranker.core.times import DAY
from unified_ranker.log.check import Check
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.counts_as_of import Stream
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality_types.base import QUALITY_FEATURES, QualityFeature


@QUALITY_FEATURES.declare
class FreshnessFeature(QualityFeature):
    """exp(-age / `scale_days`), from `created_at`; 0 where the creation time is absent."""

    type: Literal["freshness"]
    scale_days: float = Field(30.0, gt=0)
    """Days after which freshness has fallen to 1/e."""

    @property
    def decay(self) -> float:
        """See `QualityFeature.decay`."""
        return self.scale_days * DAY

    def checks(self, at: str, log: InteractionLog) -> Iterator[Check]:
        """See `QualityFeature.checks`."""
        yield Check(
            f"{at}`: items have a `created_at`",
            passed=bool(log.items["created_at"].notna().any()),
            found="no item has one",
            what_to_do="remove the feature, or add creation times to the items table",
        )

    def streams(self, events: EventColumns) -> tuple[Stream, ...]:
        """See `QualityFeature.streams`: none."""
        return ()

    def value(self, sums: Sequence[Floats], constant: float, created_at: Ints, time: Ints) -> np.ndarray:
        """See `QualityFeature.value`."""
        return np.asarray(freshness(created_at, time, self.decay))
