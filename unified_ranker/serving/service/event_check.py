"""Checks of reported events: what no store takes is refused; what the release does not know is not learnt as meant."""

from collections.abc import Sequence
from dataclasses import dataclass

from unified_ranker.core.errors import nearest
from unified_ranker.core.event import Event
from unified_ranker.serving.answering.opened_release import OpenedRelease


@dataclass(frozen=True)
class EventFault:
    """Fault in a field of an event: the event's number in the request, the field, the message."""

    number: int
    field: str
    message: str


def refused_events(events: Sequence[Event], now: int) -> list[EventFault]:
    """Return the faults for which no store takes events, such as a time in the future; `now` is in seconds."""
    faults = ((number, event.fault(now)) for number, event in enumerate(events))
    return [EventFault(number, *fault) for number, fault in faults if fault is not None]


def event_faults(release: OpenedRelease, events: Sequence[Event]) -> list[EventFault]:
    """Return what a release does not know of events, in their order: task, type and items.

    Args:
        release: it names the kinds of event of its log; earlier ones do not, and any kind passes.
        events: in the form of the store.
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
    return out


def _unknown(kind: str, name: str, known: Sequence[str]) -> str:
    return f"the release knows no such {kind}.{nearest(name, known)}"
