"""What the service needs of a store of histories. `lmdb_store` keeps them on this machine, `redis_store` in Redis."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol

from unified_ranker.core.request import History
from unified_ranker.events.event import Event

MOST = 1000
"""Events of a user that a history holds, the latest ones."""


class StoreError(RuntimeError):
    """The store cannot be reached, or cannot write. Nothing of what was given to it is acknowledged."""


class HistoryStore(Protocol):
    """Keeps events, and changes to the catalogue that are to outlive a process. Safe to use from several threads."""

    def append(self, events: Sequence[Event]) -> int:
        """Keep events and return how many were new. On return they outlive the death of any process.

        Raises:
            StoreError: they are not kept.
        """

    def before(self, user_id: str, timestamp: int) -> History:
        """Return a user's latest events strictly before a time in seconds (0 = all), at most `MOST`, oldest first.

        Raises:
            StoreError: the store cannot be reached.
        """

    def import_lines(self, rows: Iterable[tuple[str, int, bytes, bytes]], key: str) -> int:
        """Take over another log once: rows of user, time, digest, line. `key` names it; a known one is passed over.

        Raises:
            StoreError: they are not kept.
        """

    def since(self, position: str, most: int = 1000) -> list[tuple[str, Event]]:
        """Return the events appended after a position ("" = from the first), in their order, each with its own.

        Raises:
            StoreError: the store cannot be reached.
        """

    def users(self, prefix: str, most: int) -> list[str]:
        """Return ids of users that have a history and whose id begins so.

        Raises:
            StoreError: the store cannot be reached.
        """

    def put_item(self, item_id: str, fields: Mapping[str, Any] | None) -> None:
        """Keep a change to the catalogue: an item's fields, or None for one that was taken out.

        Raises:
            StoreError: it is not kept.
        """

    def items(self) -> dict[str, dict[str, Any] | None]:
        """Return all kept changes by item id.

        Raises:
            StoreError: the store cannot be reached.
        """

    def ping(self) -> None:
        """Do nothing.

        Raises:
            StoreError: the store cannot be reached.
        """

    def close(self) -> None:
        """Close the store."""
