"""Which earlier events make an item no candidate any more."""

from typing import Protocol

import numpy as np

from unified_ranker.config import Task
from unified_ranker.prepare.examples import Floats, Strings


class EventNames(Protocol):
    """Events as columns `[events]`."""

    @property
    def item_id(self) -> Strings:
        """Items."""

    @property
    def event_type(self) -> Strings:
        """Kinds of event."""

    @property
    def task(self) -> Strings:
        """Surfaces."""

    @property
    def value(self) -> Floats:
        """Graded strengths, 0 where absent."""


def engaged_items(task: str, declared: Task, earlier: EventNames) -> set[str]:
    """Return the items of `earlier` events that were positives of `task`; empty unless it excludes engaged items."""
    if not declared.exclude_engaged:
        return set()
    own = earlier.task == task
    positive = np.zeros(len(own), bool)
    for kind in declared.positives:
        match = own & (earlier.event_type == kind.event_type)
        positive |= match if kind.min_value is None else match & (earlier.value >= kind.min_value)
    return set(earlier.item_id[positive])
