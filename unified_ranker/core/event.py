"""Event as a client reports it: its identity, and its two serialised forms, in the log and in a history."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass

import orjson

from unified_ranker.core.ids import MOST_ID_BYTES, fits_in_key
from unified_ranker.core.numbers import MOST_POSITION, MOST_STRENGTH, is_bounded
from unified_ranker.core.times import time_fault

_REQUIRED = ("item_id", "task", "event_type")
_IDS = ("user_id", *_REQUIRED, "source_item_id", "request_id", "event_id")


@dataclass(frozen=True)
class Event:
    """One thing that a user did to an item. "" and None stand for absent fields.

    Attributes:
        user_id: "" for an anonymous user, whose events are logged and make no history.
        item_id: the item.
        task: the surface.
        event_type: kind of action, such as "click".
        timestamp: seconds since 1970.
        value: graded strength.
        query: text that the user had typed.
        source_item_id: the item that the user looked at.
        country: ISO 3166 alpha-2.
        request_id: of the answer that showed the item.
        position: where in that answer, from 0.
        event_id: the client's id of the event, unique among the events of its user.
        microsecond: of the second in which it was done.
    """

    user_id: str
    item_id: str
    task: str
    event_type: str
    timestamp: int
    value: float | None = None
    query: str = ""
    source_item_id: str = ""
    country: str = ""
    request_id: str = ""
    position: int | None = None
    event_id: str = ""
    microsecond: int = 0

    def fault(self, now: int) -> tuple[str, str] | None:
        """Return the field for which no store takes the event, and what is wrong with it; None for a sound event.

        Args:
            now: the present, in seconds.
        """
        for name in _REQUIRED:
            if not getattr(self, name):
                return name, "it is missing"
        for name in _IDS:
            if not fits_in_key(getattr(self, name)):
                return name, f"an id has at most {MOST_ID_BYTES} bytes in UTF-8"
        if fault := time_fault(self.timestamp, now):
            return "timestamp", fault
        if self.value is not None and not is_bounded(self.value, -MOST_STRENGTH, MOST_STRENGTH):
            return "value", f"it must be a number from -{MOST_STRENGTH:.0e} to {MOST_STRENGTH:.0e}"
        if self.position is not None and not is_bounded(self.position, 0, MOST_POSITION):
            return "position", f"it must be a number from 0 to {MOST_POSITION:,}"
        return None

    def record(self) -> bytes:
        """Return the whole event as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def of_record(cls, record: bytes) -> "Event":
        """Read what `record` returned."""
        return cls(**orjson.loads(record))

    def line(self) -> bytes:
        """Return the fields that a history keeps of the event, as JSON; the value 0 is none."""
        return orjson.dumps([self.item_id, self.event_type, self.task, self.timestamp, self.value or None])

    def digest(self, number: int = 0) -> bytes:
        """Return 8 bytes of the event's identity, by which an event that arrives twice is recognised.

        The identity is the `event_id` of its user, or without one all fields and the time.

        Args:
            number: of equal events that are not the same one (see `with_digests`), from 0.
        """
        named = Event(self.user_id, "", "", "", 0, event_id=self.event_id) if self.event_id else self
        content = named.record() + (b"%d" % number if number else b"")
        return hashlib.blake2b(content, digest_size=8).digest()


def with_digests(events: Iterable[Event]) -> Iterator[tuple[Event, bytes]]:
    """Yield each event of a batch with its digest.

    Equal events of a known user are one that was reported twice. Equal events of anonymous users are those of several
    people, and are told apart by their number in the batch, so that a batch that is sent again adds nothing.
    """
    seen: Counter[Event] = Counter()
    for event in events:
        number = 0
        if not event.user_id and not event.event_id:
            number, seen[event] = seen[event], seen[event] + 1
        yield event, event.digest(number)
