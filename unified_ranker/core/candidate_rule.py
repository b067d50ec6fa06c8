"""Candidate rule: which items may answer a request, in training, evaluation and serving.

The caller gives pairs of requests and items, as arrays or as tensors: evaluation and the served graph give a matrix of
both, the service gives the positions of the items that it is about to answer with.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from unified_ranker.core.array_module import Array
from unified_ranker.core.arrays import MISSING, Strings
from unified_ranker.core.positives import CountedEvents, matches_any


class Reason(StrEnum):
    """Reasons why an item is no candidate of a request, in the order in which they are tried."""

    UNKNOWN = "unknown item"
    LATE = "not created before the request"
    SOURCE = "is the source item"
    QUERY = "is the query item"
    ENGAGED = "already engaged with"
    FOREIGN = "not offered in the country"
    HIDDEN = "not available"


@dataclass(frozen=True)
class Pairs:
    """Pairs of a request and an item: columns that broadcast against each other.

    Attributes:
        item: index; -1 for no item of the catalogue.
        created_at: seconds; `NEVER` where absent: such an item has always existed.
        moment: when the request is made, seconds.
        source_item: index of the source item that was given, -1 for none. An imputed source item is a candidate.
        query_item: index of the query item, -1 for none.
        engaged: whether the user engaged with the item before, where the task excludes that; see `excluded_events`.
        offered: whether the item is offered in the request's country; see `core.offers`.
        available: whether the item may be shown at all.
    """

    item: Array
    created_at: Array
    moment: Array
    source_item: Array
    query_item: Array
    engaged: Array
    offered: Array
    available: Array


def exists(created_at: Array, moment: Array) -> Array:
    """Mark the items that exist at a moment, both in seconds: those created before it.

    An event in the second of its item's creation is the publication, as where a log's creation times are first events:
    were the item a candidate then, being the newest would name the target.
    """
    return created_at < moment


def existed_before(created_at: Array, end: int) -> Array:
    """Mark the items that existed before the end (exclusive) of a window, both in seconds."""
    return exists(created_at, end)


def refusals(pairs: Pairs) -> dict[Reason, Array]:
    """Mark the pairs that each reason refuses, in the order of the reasons."""
    return {
        Reason.UNKNOWN: pairs.item == MISSING,
        Reason.LATE: ~exists(pairs.created_at, pairs.moment),
        Reason.SOURCE: pairs.item == pairs.source_item,
        Reason.QUERY: pairs.item == pairs.query_item,
        Reason.ENGAGED: pairs.engaged,
        Reason.FOREIGN: ~pairs.offered,
        Reason.HIDDEN: ~pairs.available,
    }


def allowed(pairs: Pairs) -> Array:
    """Mark the pairs whose item may answer the request."""
    first, *others = refusals(pairs).values()
    for refused in others:
        first = first | refused
    return ~first


def first_reasons(pairs: Pairs) -> Strings:
    """Return the first reason against each pair of NumPy columns, as text; "" where the item is a candidate."""
    against = refusals(pairs)
    out = np.full(np.broadcast_shapes(*(np.shape(refused) for refused in against.values())), "", object)
    for reason, refused in reversed(against.items()):
        out[np.broadcast_to(refused, out.shape)] = reason.value
    return out


class PastEvents(Protocol):
    """Columns of events that users produced."""

    @property
    def task(self) -> Array:
        """Surfaces."""

    @property
    def event_type(self) -> Array:
        """Kinds of event."""

    @property
    def timestamp(self) -> Array:
        """Seconds."""

    @property
    def value(self) -> Array:
        """Graded strengths."""


class Exclusion(Protocol):
    """Part of a task's declaration: the treatment of items that a user engaged with."""

    @property
    def exclude_engaged(self) -> bool:
        """True: an item that the user engaged with is no candidate."""

    @property
    def positives(self) -> tuple[CountedEvents, ...]:
        """Events that count as engagement."""


def excluded_events(events: PastEvents, moment: Array, task: str, declared: Exclusion) -> Array:
    """Mark the events whose items `task` excludes at a moment: its positives strictly before; none if it excludes none.

    Args:
        events: of the request's user.
        moment: when the request is made, seconds.
        task: the request's.
        declared: its declaration.
    """
    own = (events.task == task) & (events.timestamp < moment)
    if not declared.exclude_engaged:
        return own & False
    return own & matches_any(events.event_type, events.value, declared.positives)
