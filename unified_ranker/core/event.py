"""Event as a client reports it, and its two serialised forms: a record of the event log, and a line of a history."""

import hashlib
from dataclasses import asdict, dataclass

import orjson


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

    def record(self) -> bytes:
        """Return the whole event as JSON."""
        return orjson.dumps(asdict(self))

    @classmethod
    def of_record(cls, record: bytes) -> "Event":
        """Read what `record` returned."""
        return cls(**orjson.loads(record))

    def line(self) -> bytes:
        """Return the fields that a history keeps of the event, as JSON."""
        return orjson.dumps([self.item_id, self.event_type, self.task, self.timestamp, self.value])

    def digest(self) -> bytes:
        """Return an 8-byte digest of all fields, by which an event that a client sends twice is recognised."""
        return hashlib.blake2b(self.record(), digest_size=8).digest()
