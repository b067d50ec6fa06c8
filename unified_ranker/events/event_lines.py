"""Lines of events in a store, the histories made of them, and the keys of users."""

import contextlib
import hashlib
import logging
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import orjson

from unified_ranker.core.event import Event
from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.events.base import MOST, DamagedStoreError

logger = logging.getLogger(__name__)


@contextlib.contextmanager
def undamaged() -> Iterator[None]:
    """Turn an error in the reading of a stored record into a `DamagedStoreError`: bytes on a disk may change."""
    try:
        yield
    except (ValueError, TypeError, OverflowError, AttributeError) as error:
        raise DamagedStoreError(f"the store of histories is damaged: {error}") from error


def event_of_log(record: bytes) -> Event | None:
    """Return the event of a record of the log; None for a damaged one, which no follower may stop at."""
    try:
        with undamaged():
            return Event.of_record(record)
    except DamagedStoreError as error:
        logger.error("an event of the log is skipped: %s", error)
        return None


def history_of(lines: Sequence[bytes]) -> History:
    """Return a history of the latest lines of a user, oldest first; a store reads at most `MOST` + 1 of them.

    One more line than `MOST` tells that the history is not whole. Then the second of the first line is left out, of
    which there may be more events: those of one second have no order, so that none of them is the oldest to be read. If
    all are of that second, some of them are read.

    Raises:
        DamagedStoreError: a line is damaged.
    """
    if not lines:
        return NO_HISTORY
    with undamaged():
        rows: list[list[Any]] = [orjson.loads(line) for line in lines]
        if len(rows) > MOST:
            rows = [row for row in rows if row[3] > rows[0][3]] or rows[1:]
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
