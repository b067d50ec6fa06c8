"""Contracts of histories and events: what the service keeps of what users do, and sources that bring more of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from unified_ranker.core.event import Event
from unified_ranker.core.registry import Registry
from unified_ranker.core.request import History

MOST = 1000
"""Events of a user that a history holds, the latest ones."""


class StoreError(RuntimeError):
    """The store cannot be reached, or cannot write. Nothing of what was given to it is acknowledged."""


class HistoryReader(Protocol):
    """Histories of users. Safe to use from several threads."""

    def before(self, user_id: str, timestamp: int) -> History:
        """Return a user's latest events strictly before a time in seconds (0 = all), at most `MOST`, oldest first.

        Empty for an unknown user and for "", who is anonymous.

        Raises:
            StoreError: the store cannot be reached.
        """


class EventLog(Protocol):
    """Log of events, which others follow. Safe to use from several threads."""

    def append(self, events: Sequence[Event]) -> int:
        """Keep events and return how many were new. On return they outlive the death of any process.

        An event that is there already, equal in every field, is not new.

        Raises:
            StoreError: they are not kept.
        """

    def since(self, position: str, most: int = 1000) -> list[tuple[str, Event]]:
        """Return the events appended after a position ("" = from the first), in their order, each with its own.

        Raises:
            StoreError: the store cannot be reached.
        """


class CatalogueChanges(Protocol):
    """Changes to the catalogue that are to outlive a process. Safe to use from several threads."""

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


class HistoryStore(HistoryReader, EventLog, CatalogueChanges, Protocol):
    """Store of a service's events: histories, log and changes of the catalogue in one place."""

    def import_lines(self, rows: Iterable[tuple[str, int, bytes, bytes]], key: str) -> int:
        """Take another log over into the histories, once; nobody who follows the log is told of it.

        Args:
            rows: user, time in seconds, digest and line of each event (see `Event`).
            key: names the log; one that was taken over already is passed over.

        Returns:
            How many events were new.

        Raises:
            StoreError: they are not kept.
        """

    def users(self, prefix: str, most: int) -> list[str]:
        """Return ids of users that have a history and whose id begins so, sorted, `most` of them at the most.

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


class EventSource(Protocol):
    """Events that come from elsewhere, such as files of a nightly export or a stream; each is told once.

    What was told is told again, also to another process, until `done` says that it has been kept.
    """

    def new(self) -> list[Event]:
        """Return the next events, as many as are taken in at once; [] where nothing is new.

        Raises:
            UserError: what came is no table or message of events.
        """

    def done(self) -> None:
        """Note that what `new` returned last has been kept."""


HISTORY_STORES: Registry[Callable[[str], HistoryStore]] = Registry("store of events")
"""Openers of a store at a place, by the place's scheme; they raise `UserError` where it cannot be opened."""

EVENT_SOURCES: Registry[Callable[[str, Path], EventSource]] = Registry("source of events")
"""Openers of a source at a place, by the place's scheme; they raise `UserError` where it cannot be opened.

The second argument is a file in which the source may keep how far it has come.
"""
