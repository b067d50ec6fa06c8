"""Changes of the catalogue in LMDB, in their order, and what the replicas of a service agree on."""

import struct
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

import orjson

from unified_ranker.events.event_lines import user_key
from unified_ranker.events.item_change import ItemChange

_POSITION = struct.Struct(">q")

WriteJob = Callable[[Any], int]
"""Writes in a transaction of the store's writer."""


class LmdbChanges:
    """Tables of the changes: each item with its latest change, the order of these, and the agreements by name."""

    def __init__(self, env: Any, reading: Callable[[], AbstractContextManager[Any]]) -> None:
        """Open the tables in an environment; `reading` opens a transaction that reads."""
        self._reading = reading
        self._items, self._order, self._agreed = (env.open_db(n) for n in (b"items", b"item_order", b"agreed"))

    def putting(self, change: ItemChange, seen: int | None) -> WriteJob:
        """Return the job of `CatalogueChanges.put_item`."""

        def write(transaction: Any) -> int:
            key = user_key(change.item_id)
            old = transaction.get(key, db=self._items)
            before = 0 if old is None else _of(old).position
            if seen is not None and seen != before:
                return 0
            with transaction.cursor(self._order) as cursor:
                position: int = _POSITION.unpack(cursor.key())[0] + 1 if cursor.last() else 1
            if before:
                transaction.delete(_POSITION.pack(before), db=self._order)
            record = orjson.dumps([change.item_id, orjson.Fragment(change.record()), position])
            transaction.put(key, record, db=self._items)
            transaction.put(_POSITION.pack(position), key, db=self._order)
            return position

        return write

    def after(self, position: int) -> list[ItemChange]:
        """See `CatalogueChanges.item_changes`."""
        with self._reading() as transaction:
            if position < 0:
                with transaction.cursor(self._items) as cursor:
                    return sorted((_of(record) for _, record in cursor), key=lambda change: change.position)
            with transaction.cursor(self._order) as cursor:
                keys = list(cursor.iternext(keys=False)) if cursor.set_range(_POSITION.pack(position + 1)) else []
            return [_of(transaction.get(key, db=self._items)) for key in keys]

    def agreeing(self, name: str, value: Mapping[str, Any]) -> WriteJob:
        """Return the job of `Agreements.agree`."""

        def write(transaction: Any) -> int:
            old = transaction.get(name.encode(), db=self._agreed)
            number: int = 1 if old is None else orjson.loads(old)[0] + 1
            transaction.put(name.encode(), orjson.dumps([number, dict(value)]), db=self._agreed)
            return number

        return write

    def agreed(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """See `Agreements.agreed`."""
        with self._reading() as transaction:
            if (found := transaction.get(name.encode(), db=self._agreed)) is None:
                return None
            number, value = orjson.loads(found)
            return number, value


def _of(record: bytes) -> ItemChange:
    """Return the change in a record; those of earlier versions have no position."""
    item_id, value, *position = orjson.loads(record)
    return ItemChange.of_record(item_id, position[0] if position else 0, orjson.dumps(value))
