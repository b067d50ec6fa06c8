"""Check of reported events against the release: what it does not know is neither learnt nor counted as meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from unified_ranker.core.errors import nearest
from unified_ranker.core.event import Event
from unified_ranker.core.times import FUTURE_FROM
from unified_ranker.serving.answering.opened_release import OpenedRelease


@dataclass(frozen=True)
class EventFault:
    """Field of an event that the release does not know: the event's number in the request, the field, the message."""

    number: int
    field: str
    message: str


def event_faults(release: OpenedRelease, events: Sequence[Event], now: int) -> list[EventFault]:
    """Return what a release does not know of events, in their order: task, type, items, and times in the future.

    Args:
        release: it names the kinds of event of its log; earlier ones do not, and any kind passes.
        events: in the form of the store.
        now: seconds.
    """
    data = release.manifest.data
    tasks, types = tuple(release.config.tasks), () if data is None else data.event_types
    out = []
    for number, event in enumerate(events):
        if event.task not in tasks:
            out.append(EventFault(number, "task", _unknown("task", event.task, tasks)))
        if types and event.event_type not in types:
            out.append(EventFault(number, "event_type", _unknown("event type", event.event_type, types)))
        for field, item in (("item_id", event.item_id), ("source_item_id", event.source_item_id)):
            if item and not release.knows(item):
                out.append(EventFault(number, field, "the catalogue has no such item; PUT /v1/items/{id} adds one"))
        if event.timestamp > now + FUTURE_FROM:
            out.append(EventFault(number, "timestamp", "it lies in the future; numbers are seconds, not milliseconds"))
    return out


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    return f"the release knows no such {kind}.{nearest(name, known)}"
