"""An event as a client reports it, and its two forms: a record for whoever follows the log, a line of a history."""

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
        event_type: what was done.
        timestamp: seconds since 1970.
        value: graded strength.
        query: what had been typed.
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
        """Return what a history holds of the event, as JSON."""
        return orjson.dumps([self.item_id, self.event_type, self.task, self.timestamp, self.value])

    def digest(self) -> bytes:
        """Return 8 bytes, the same for events that are equal in every field: a client may try again."""
        return hashlib.blake2b(self.record(), digest_size=8).digest()
