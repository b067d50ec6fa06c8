"""Which earlier events make an item no candidate any more."""

from typing import Protocol

from unified_ranker.config import Task
from unified_ranker.core.arrays import Floats, Strings
from unified_ranker.core.positives import positive


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
    own = (earlier.task == task) & positive(earlier.event_type, earlier.value, declared.positives)
    return set(earlier.item_id[own])
