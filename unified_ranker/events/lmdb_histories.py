"""Histories in LMDB, in a directory of this machine: one writer thread, and readers that never wait.

An event is acknowledged when its transaction is on disk. Events that arrive during a commit share the next one, so
that the cost of flushing the disk is paid for each group and not for each event.
"""

import contextlib
import queue
import struct
import threading
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import lmdb

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event, with_digests
from unified_ranker.core.locks import lock
from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.events.base import MOST, DamagedStoreError, LoggedEvent, StoreError
from unified_ranker.events.event_lines import event_of_log, history_of, undamaged, user_key
from unified_ranker.events.item_change import ItemChange
from unified_ranker.events.lmdb_changes import LmdbChanges, WriteJob

_MAP_BYTES = 64 * 2**30
"""Address space, not disk: the file grows with what is in it."""
_READERS = 512
_GROUP = 1000
_CACHED = 10_000
_IMPORTED_AT_ONCE = 50_000
_TIME = struct.Struct(">q")
_LAST = b"\xff" * 8
_MOMENT = 24
"""Bytes of a key that name the user and the second."""


class LmdbStore:
    """See `HistoryStore`.

    Args:
        directory: is made where it is absent; one process at a time may open it.

    Raises:
        UserError: it cannot be opened.
    """

    def __init__(self, directory: Path) -> None:
        try:
            directory.mkdir(parents=True, exist_ok=True)
            self._env = lmdb.open(str(directory), map_size=_MAP_BYTES, max_dbs=8, max_readers=_READERS, readahead=False)
            names = (b"events", b"histories", b"users", b"imports", b"event_ids")
            self._log, self._lines, self._users, self._imports, self._named = map(self._env.open_db, names)
            self._changes = LmdbChanges(self._env, self._reading)
        except (lmdb.Error, OSError) as error:
            raise UserError(
                f"the store of histories must be a directory that can be written. Received: `{directory}`: {error}. "
                "Name another with --store."
            ) from error
        self._directory, self._service = directory, contextlib.ExitStack()
        self._cache: OrderedDict[str, tuple[History, bool]] = OrderedDict()
        self._caching = threading.Lock()
        self._generation = 0
        self._writes: queue.Queue[tuple[WriteJob, Future[int]] | None] = queue.Queue()
        self._writer = threading.Thread(target=self._write_groups, name="history-writer", daemon=True)
        self._writer.start()

    def append(self, events: Sequence[Event]) -> int:
        """See `HistoryStore.append`."""

        def write(transaction: Any) -> int:
            cursor = transaction.cursor(self._log)
            number = _TIME.unpack(cursor.key())[0] + 1 if cursor.last() else 0
            new = 0
            for event, digest in with_digests(events):
                key = _key(event.user_id, event.timestamp, digest)
                # A client that sends an event again may give it another time.
                if event.event_id and not transaction.put(key[:16] + digest, b"", db=self._named, overwrite=False):
                    continue
                if not transaction.put(key, event.line(), db=self._lines, overwrite=False):
                    continue
                transaction.put(_TIME.pack(number + new), event.record(), db=self._log, append=True)
                if event.user_id:
                    transaction.put(key[:16], event.user_id.encode(), db=self._users)
                new += 1
            return new

        new = self._submit(write)
        with self._caching:
            self._generation += 1
            for event in events:
                self._cache.pop(event.user_id, None)
        return new

    def before(self, user_id: str, timestamp: int) -> History:
        """See `HistoryStore.before`."""
        with self._caching:
            found, generation = self._cache.get(user_id), self._generation
            if found is not None:
                self._cache.move_to_end(user_id)
        if found is None:
            found = self._read(user_id, 0)
            with self._caching:
                # Not cached if an event was acknowledged while this history was read.
                if self._generation == generation:
                    self._cache[user_id] = found
                    if len(self._cache) > _CACHED:
                        self._cache.popitem(last=False)
        known, whole = found
        if timestamp and not whole and not (known.timestamp < timestamp).all():
            return self._read(user_id, timestamp)[0]  # the cache holds later events in the place of earlier ones
        return known.before(timestamp)

    def import_lines(self, rows: Iterable[LoggedEvent], key: str) -> int:
        """See `HistoryStore.import_lines`."""
        with self._reading() as transaction:
            if transaction.get(key.encode(), db=self._imports):
                return 0
        taken, part = 0, []
        for row in rows:
            part.append(row)
            if len(part) == _IMPORTED_AT_ONCE:
                taken += self._submit(self._importing(part))
                part = []
        taken += self._submit(self._importing(part))
        self._submit(lambda transaction: int(transaction.put(key.encode(), b"1", db=self._imports)))
        with self._caching:
            self._generation += 1
            self._cache.clear()
        return taken

    def since(self, position: str, most: int = 1000) -> list[tuple[str, Event]]:
        """See `HistoryStore.since`."""
        first = int(position) + 1 if position else 0
        found: list[tuple[str, Event]] = []
        with self._reading() as transaction, transaction.cursor(self._log) as cursor:
            if cursor.set_range(_TIME.pack(first)):
                for key, record in cursor:
                    if (event := event_of_log(record)) is not None:
                        found.append((str(_TIME.unpack(key)[0]), event))
                    if len(found) == most:
                        break
        with self._caching:
            # Another process may have appended events: after an event is returned, histories must contain it.
            self._generation += 1
            for _, event in found:
                self._cache.pop(event.user_id, None)
        return found

    def users(self, prefix: str, most: int) -> list[str]:
        """See `HistoryStore.users`."""
        start = prefix.encode()
        with self._reading() as transaction, transaction.cursor(self._users) as cursor:
            found = []
            for _, user in cursor:
                if user.startswith(start):
                    found.append(user.decode())
                    if len(found) == most:
                        break
            return sorted(found)

    def put_item(
        self, item_id: str, fields: Mapping[str, Any] | None, partial: bool = False, seen: int | None = None
    ) -> int:
        """See `CatalogueChanges.put_item`."""
        return self._submit(self._changes.putting(ItemChange(item_id, 0, fields, partial), seen))

    def item_changes(self, after: int = -1) -> list[ItemChange]:
        """See `CatalogueChanges.item_changes`."""
        return self._changes.after(after)

    def agree(self, name: str, value: Mapping[str, Any]) -> int:
        """See `Agreements.agree`."""
        return self._submit(self._changes.agreeing(name, value))

    def agreed(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """See `Agreements.agreed`."""
        return self._changes.agreed(name)

    def serve(self) -> None:
        """See `HistoryStore.serve`: one service at a time, because histories are cached; other processes may read."""
        try:
            self._service.enter_context(lock(self._directory, "service.lock", "serving", "--store"))
        except UserError as error:
            raise UserError(f"{error} Several services share a Redis: `--store redis://host:6379/0`.") from error

    def ping(self) -> None:
        """See `HistoryStore.ping`; it reads what a service reads when it starts."""
        self.item_changes()

    def close(self) -> None:
        """Commit what was submitted, and close."""
        self._writes.put(None)
        self._writer.join()
        self._env.close()
        self._service.close()

    def _read(self, user_id: str, timestamp: int) -> tuple[History, bool]:
        """Return the latest events of a user before a moment, and whether there are no earlier ones."""
        if not user_id:
            return NO_HISTORY, True
        prefix = user_key(user_id)
        end = prefix + (_TIME.pack(timestamp) if timestamp else _LAST)
        lines: list[bytes] = []
        with self._reading() as transaction, transaction.cursor(self._lines) as cursor:
            more = cursor.prev() if cursor.set_range(end) else cursor.last()
            while more and len(lines) <= MOST and cursor.key()[:16] == prefix:
                lines.append(cursor.value())
                more = cursor.prev()
        return history_of(lines[::-1]), len(lines) <= MOST

    @contextlib.contextmanager
    def _reading(self) -> Iterator[Any]:
        """Begin a transaction that reads; damaged pages and records are a `DamagedStoreError`."""
        try:
            with undamaged(), self._env.begin() as transaction:
                yield transaction
        except (lmdb.CorruptedError, lmdb.PageNotFoundError, lmdb.BadTxnError) as error:
            raise DamagedStoreError(f"the store of histories cannot be read: {error}") from error
        except lmdb.Error as error:
            raise StoreError(f"the store of histories cannot be read: {error}") from error

    def _importing(self, rows: Sequence[LoggedEvent]) -> WriteJob:
        def write(transaction: Any) -> int:
            new = 0
            with transaction.cursor(self._lines) as cursor:
                keyed = ((_key(row.user_id, row.timestamp, row.digest), row) for row in rows)
                for key, row in sorted(keyed, key=lambda pair: (pair[0][:_MOMENT], pair[1].number)):
                    if _stored(cursor, key[:_MOMENT], row.line) <= row.number:
                        new += cursor.put(key, row.line, overwrite=False)
            with transaction.cursor(self._users) as cursor:
                cursor.putmulti(sorted({(user_key(user), user.encode()) for user, *_ in rows}))
            return new

        return write

    def _submit(self, write: WriteJob) -> int:
        done: Future[int] = Future()
        self._writes.put((write, done))
        return done.result()

    def _write_groups(self) -> None:
        while (first := self._writes.get()) is not None:
            group, last = [first], False
            while len(group) < _GROUP and not self._writes.empty():
                following = self._writes.get()
                if following is None:
                    last = True
                    break
                group.append(following)
            self._commit(group)
            if last:
                return

    def _commit(self, group: list[tuple[WriteJob, "Future[int]"]]) -> None:
        try:
            with self._env.begin(write=True) as transaction:
                results = [write(transaction) for write, _ in group]
        # Any error is passed to the callers that wait, and the thread goes on.
        except Exception as error:  # noqa: BLE001
            for _, done in group:
                fault = StoreError(f"the store of histories cannot write: {error}")
                fault.__cause__ = error
                done.set_exception(fault)
            return
        for (_, done), result in zip(group, results, strict=True):
            done.set_result(result)


def _key(user_id: str, timestamp: int, digest: bytes) -> bytes:
    return user_key(user_id) + _TIME.pack(timestamp) + digest


def _stored(cursor: Any, moment: bytes, line: bytes) -> int:
    """Count the lines of a user's second that equal `line`; digests differ, as an imported log has fewer fields."""
    found, more = 0, cursor.set_range(moment)
    while more and cursor.key().startswith(moment):
        found += cursor.value() == line
        more = cursor.next()
    return found
