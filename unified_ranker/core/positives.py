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
        """Least graded strength; None: any."""

    @property
    def above(self) -> float | None:
        """Graded strength that must be exceeded; None: any."""

    @property
    def unrated(self) -> bool:
        """True: events without a graded strength, or with 0, count, too."""

    @property
    def head_name(self) -> str:
        """Name of the ranking head that learns from the event."""


def matches(event_type: Array, value: Array, counted: CountedEvents, name: object = None) -> Array:
    """Mark the events of one declared kind.

    Args:
        event_type: names of the events, or numbers that stand for them.
        value: graded strengths. Where there is none it is NaN, or 0 in a history: neither is at a bound above 0.
        counted: the kind.
        name: number of its name, where numbers stand for names; None: the name itself.
    """
    same = event_type == (counted.event_type if name is None else name)
    if counted.min_value is not None:
        strong = value >= counted.min_value
    elif counted.above is not None:
        strong = value > counted.above
    else:
        return same
    if counted.unrated:
        # A comparison with itself finds NaN in arrays and tensors alike.
        strong = strong | (value == 0) | (value != value)
    return same & strong


def matches_any(event_type: Array, value: Array, counted: Iterable[CountedEvents]) -> Array:
    """Mark the events that any of a task's kinds matches; `counted` holds at least one kind."""
    first, *others = (matches(event_type, value, kind) for kind in counted)
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
        name = None if numbers is None else numbers.get(kind.event_type, MISSING)
        out[np.asarray(matches(event_type, value, kind, name), bool)] = index
    return out


def first_engagements(
    user: Ints, item: Ints | Strings, head: Ints | Strings | None = None, time: Ints | None = None
) -> Mask:
    """Mark the first of each user's positives of one task with one item, and all of anonymous users, `[positives]`.

    Whether two anonymous positives are of one user is unknown. Those of one second are all first, because none of them
    is before another.

    Args:
        user: indices, `MISSING` where anonymous; positives are in order of time.
        item: indices or ids.
        head: of each positive, numbers or names: the first of each head is marked, so that a purchase after a view is
            marked, too. None: the first of all heads.
        time: seconds; None: one positive is the first.
    """
    key = user
    for column in (item,) if head is None else (item, head):
        number = np.unique(column, return_inverse=True)[1]
        key = key * (number.max(initial=0) + 1) + number
    first = np.asarray(user == MISSING, bool)
    rows, own = np.unique(key, return_index=True, return_inverse=True)[1:]
    first[rows] = True
    return first if time is None else first | (time == time[rows[own.reshape(-1)]])


def head_numbers(counted: Sequence[CountedEvents]) -> Ints:
    """Return a number for the head of each kind, `[kinds]`: kinds of one head have the same."""
    return np.unique([kind.head_name for kind in counted], return_inverse=True)[1].astype(np.int64)
