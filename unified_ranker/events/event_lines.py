"""Lines of events in a store, the histories made of them, and the keys of users."""

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import orjson

from unified_ranker.core.request import NO_HISTORY, History


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
    """Return a 16-byte key of a user, because ids may be longer than a store's keys."""
    return hashlib.blake2b(user_id.encode("utf-8", "surrogatepass"), digest_size=16).digest()
