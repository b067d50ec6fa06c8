"""The store of a service: where it lies, and the project's log in it."""

from collections.abc import Iterator
from pathlib import Path

from unified_ranker.events.event import Event
from unified_ranker.events.history_store import MOST, HistoryStore
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.events.redis_histories import RedisStore
from unified_ranker.prepare.prepared import Prepared


def open_history_store(place: str) -> HistoryStore:
    """Open a store: a directory, or `redis://host:port/database`.

    Raises:
        UserError: it cannot be opened.
    """
    return RedisStore(place) if place.startswith(("redis://", "rediss://", "unix://")) else LmdbStore(Path(place))


def log_lines(prepared: Prepared) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Yield the latest events of every user of a prepared log, in the form that `HistoryStore.import_lines` takes."""
    columns, ids = prepared.histories, prepared.item_ids
    for number, user in enumerate(prepared.user_ids):
        start, end = int(columns.offsets[number]), int(columns.offsets[number + 1])
        for row in range(max(start, end - MOST), end):
            value = float(columns.value[row])
            event = Event(
                user_id=str(user),
                item_id=str(ids[columns.item[row]]),
                task=str(columns.task[row]),
                event_type=str(columns.event_type[row]),
                timestamp=int(columns.timestamp[row]),
                value=value or None,
            )
            yield event.user_id, event.timestamp, event.digest(), event.line()
