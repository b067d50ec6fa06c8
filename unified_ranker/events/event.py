"""An event as a client reports it, and its two forms: a record for whoever follows the log, a line of a history."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import orjson

from unified_ranker.core.request import NO_HISTORY, History


@dataclass(frozen=True)
class Event:
    """One thing that a user did to an item (design section 3). "" and None stand for absent fields.

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


def history_of(lines: Sequence[bytes]) -> History:
    """Return a history of lines, which are in order of time."""
    if not lines:
        return NO_HISTORY
    rows: list[list[Any]] = [orjson.loads(line) for line in lines]
    items, types, tasks, times, values = zip(*rows, strict=True)
    return History(
        item_id=np.array(items, object),
        event_type=np.array(types, object),
        task=np.array(tasks, object),
        timestamp=np.array(times, np.int64),
        value=np.array([value or 0.0 for value in values], np.float32),
    )


def user_key(user_id: str) -> bytes:
    """Return 16 bytes that stand for a user: ids may be longer than the keys of a store."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
