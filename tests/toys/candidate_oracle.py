"""The candidate rule in plain Python, one item and one request at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from unified_ranker.config import Task
from unified_ranker.core.request import Request


@dataclass(frozen=True)
class Shown:
    """An item of a catalogue, as the rule sees it."""

    item_id: str
    created_at: int | None = None
    countries: Sequence[str] = ()
    available: bool = True


def refusal(item: Shown | None, request: Request, declared: Task) -> str:
    """Return why an item may not answer a request that has a time; "" where it may."""
    if item is None:
        return "unknown item"
    if item.created_at is not None and item.created_at >= request.timestamp:
        return "not created before the request"
    if item.item_id == request.source_item_id:
        return "is the source item"
    if item.item_id == request.query_item_id:
        return "is the query item"
    if declared.exclude_engaged and item.item_id in engaged(request, declared):
        return "already engaged with"
    if request.country and item.countries and request.country not in item.countries:
        return "not offered in the country"
    return "" if item.available else "not available"


def engaged(request: Request, declared: Task) -> set[str]:
    """Return the items of the positives that a request's history holds strictly before it, on its own task."""
    found = set()
    past = request.history
    rows = zip(past.item_id, past.task, past.event_type, past.value, past.timestamp, strict=True)
    for item_id, task, event_type, value, timestamp in rows:
        for kind in declared.positives:
            strong = kind.min_value is None or value >= kind.min_value
            strong = (strong and (kind.above is None or value > kind.above)) or (kind.unrated and value == 0)
            if task == request.task and event_type == kind.event_type and strong and timestamp < request.timestamp:
                found.add(item_id)
    return found


def may_answer(catalogue: Iterable[Shown], request: Request, declared: Task) -> set[str]:
    """Return the ids of the items that may answer a request."""
    return {item.item_id for item in catalogue if not refusal(item, request, declared)}
