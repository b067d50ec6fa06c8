"""Positives: the events that a task counts as engagement."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from unified_ranker.core.array_module import Array
from unified_ranker.core.arrays import MISSING, Ints, Mask, Strings


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


def first_match(
    event_type: Array, value: Array, counted: Sequence[CountedEvents], numbers: Mapping[str, int] | None = None
) -> Ints:
    """Return the index of the first kind that matches each event, `[events]`; `MISSING` where none does.

    An event that several of a task's kinds match counts once, as the first of them.

    Args:
        event_type: names of the events, or `numbers` that stand for them.
        value: graded strengths; NaN where there is none.
        counted: the declared kinds, in order.
        numbers: number of each name that occurs; None: `event_type` holds names.
    """
    out = np.full(len(event_type), MISSING, np.int64)
    for index, kind in reversed(list(enumerate(counted))):
        name = kind.event_type if numbers is None else numbers.get(kind.event_type, MISSING)
        out[np.asarray(matches(event_type, value, name, kind.min_value), bool)] = index
    return out


def first_engagements(user: Ints, item: Ints | Strings) -> Mask:
    """Mark the positives of one task that count under its `first_engagement_only`, `[positives]`.

    Of a user's positives with one item the first counts. All of anonymous users count: whether two are of one user is
    unknown.

    Args:
        user: indices, `MISSING` where anonymous; positives are in order of time.
        item: indices or ids.
    """
    number = np.unique(item, return_inverse=True)[1]
    counts = np.asarray(user == MISSING, bool)
    counts[np.unique(user * (number.max(initial=0) + 1) + number, return_index=True)[1]] = True
    return counts
