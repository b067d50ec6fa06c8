"""Contract of a feature of the quality vector: what it sums of the log, and its number for an item as of a moment."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from typing import ClassVar

import numpy as np

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.core.arrays import Floats, Ints, Mask
from unified_ranker.log.check import Check
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.counts_as_of import CountsAsOf, Stream
from unified_ranker.prepare.examples import EventColumns


class QualityFeature(Declaration, ABC):
    """Declaration of a feature in towers/item.yaml, with the steps that depend on its type.

    A subclass declares `type: Literal["name"]` and settings. The number of an item depends on events strictly before
    the moment alone, and on the item's creation. The served graph has it as of the end of the fit window, unless the
    feature decays or is counted live.

    Attributes:
        counted_live: whether the service counts it on from the release's log. Its number is then
            `popularity_feature.scaled_popularity` of the count of the events that `counted` marks.
    """

    counted_live: ClassVar[bool] = False

    type: str

    @property
    def window(self) -> int | None:
        """Seconds before the moment in which events count; None, which is the default: all."""
        return None

    @property
    def decay(self) -> float:
        """Scale in seconds of the exponential decay that the number is, see `core.freshness`; 0, by default: none."""
        return 0.0

    def checks(self, at: str, log: InteractionLog) -> Iterator[Check]:
        """Yield the checks of its data in a log; `at` names the declaration. None by default."""
        yield from ()

    def counted(self, events: EventColumns) -> Mask:
        """Mark the events that a feature that is `counted_live` counts, `[events]`; others are not asked."""
        raise NotImplementedError

    @abstractmethod
    def streams(self, events: EventColumns) -> tuple[Stream, ...]:
        """Return the amounts of events whose sums by item its number is made from; () for none."""

    def constant(self, sums: Sequence[CountsAsOf], reference: int) -> float:
        """Return a constant of the fitted model, by the `streams` before a time (seconds); 0 by default."""
        del sums, reference
        return 0.0

    @abstractmethod
    def value(self, sums: Sequence[Floats], constant: float, created_at: Ints, time: Ints) -> np.ndarray:
        """Return the number of items.

        Args:
            sums: of each of the `streams`, as of the times, `[…]`.
            constant: see there.
            created_at: of the items, seconds; it broadcasts to `[…]`.
            time: likewise.
        """

    def unseen(self, constant: float) -> float:
        """Return the number of an item without events and without a creation time; 0 by default."""
        del constant
        return 0.0


QUALITY_FEATURES: Kinds[QualityFeature] = Kinds("quality feature")
"""Features that `quality` in towers/item.yaml may declare."""
