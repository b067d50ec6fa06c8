"""Positives: the events that a task counts as engagement."""

from collections.abc import Iterable
from typing import Protocol

from unified_ranker.core.array_module import Array


class CountedEvents(Protocol):
    """Kind of event that a task declares as a positive."""

    @property
    def event_type(self) -> str:
        """Name of the event type."""

    @property
    def min_value(self) -> float | None:
        """Least graded strength; None: any event of the type."""


def matches(event_type: Array, value: Array, counted: object, least: float | None) -> Array:
    """Mark the events of one declared kind.

    Args:
        event_type: names of the events, or numbers that stand for them.
        value: graded strengths; NaN where there is none, which is below any `least`.
        counted: the declared name, or its number.
        least: the declared least strength; None: any event counts.
    """
    same = event_type == counted
    return same if least is None else same & (value >= least)


def matches_any(event_type: Array, value: Array, counted: Iterable[CountedEvents]) -> Array:
    """Mark the events that any of a task's kinds matches; `counted` holds at least one kind."""
    first, *others = (matches(event_type, value, kind.event_type, kind.min_value) for kind in counted)
    for marked in others:
        first = first | marked
    return first
