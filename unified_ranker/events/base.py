"""Contracts of events: stores of histories, the log that others follow, and sources of events."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from unified_ranker.core.event import Event
from unified_ranker.core.registry import Registry
from unified_ranker.core.request import History
from unified_ranker.events.item_change import ItemChange

MOST = 1000
"""Most events in a history: a user's latest ones."""


class StoreError(RuntimeError):
    """Error: the store cannot be reached, cannot write, or is damaged. None of the given events is acknowledged."""


class DamagedStoreError(StoreError):
    """Error: pages or records of the store are damaged. It will fail again, so followers pass what they cannot read."""


class LoggedEvent(NamedTuple):
    """Event of another log, in the form that a store imports.

    Attributes:
        user_id: of a known user.
        timestamp: seconds.
        digest: of the event, with its number.
        line: see `Event.line`.
        number: of the event among those of the log with the same user, second and line, from 0.
    """

    user_id: str
    timestamp: int
    digest: bytes
    line: bytes
    number: int = 0


class HistoryReader(Protocol):
    """Histories of users. Safe to use from several threads."""

    def before(self, user_id: str, timestamp: int) -> History:
        """Return a user's latest events strictly before a time in seconds (0 = all), at most `MOST`, oldest first.

        Events of one second are all there or none is, because they have no order (`history_of`).

        Empty for an unknown user, and for "", an anonymous one.

        Raises:
            StoreError: the store cannot be reached.
        """


class EventLog(Protocol):
    """Log of events that other processes follow. Safe to use from several threads."""

    def append(self, events: Sequence[Event]) -> int:
        """Store events durably and return how many were new.

        An event whose identity is stored already is not new (`with_digests`).

        Raises:
            StoreError: they are not stored.
        """

    def since(self, position: str, most: int = 1000) -> list[tuple[str, Event]]:
        """Return the events after a position ("" = from the first) in order, each with its own position.

        A damaged record is left out and logged.

        Raises:
            StoreError: the store cannot be reached.
        """


class CatalogueChanges(Protocol):
    """Durable changes to the catalogue, in an order that all who follow them see. Safe to use from several threads."""

    def put_item(
        self, item_id: str, fields: Mapping[str, Any] | None, partial: bool = False, seen: int | None = None
    ) -> int:
        """Store the change of an item in the place of its earlier one; see `ItemChange`.

        Args:
            item_id: the item.
            fields: its fields, or None for an item that was removed.
            partial: whether the fields are a patch over the item of a release.
            seen: position of the item's change that this one follows from, 0 for none; None: whatever it is.

        Returns:
            The position of the change; 0: nothing is stored, because the item has another change than the seen one.

        Raises:
            StoreError: it is not stored.
        """

    def item_changes(self, after: int = -1) -> list[ItemChange]:
        """Return the items that were changed after a position, each with its latest change, in their order.

        -1 returns all of them.

        Raises:
            StoreError: the store cannot be reached.
        """


class Agreements(Protocol):
    """Agreements of the replicas of a service, by name, such as the releases that they serve."""

    def agree(self, name: str, value: Mapping[str, Any]) -> int:
        """Store a value in the place of the earlier one; returns its number, higher than that of every earlier one.

        Raises:
            StoreError: it is not stored.
        """

    def agreed(self, name: str) -> tuple[int, dict[str, Any]] | None:
        """Return the latest value with its number; None: there is none.

        Raises:
            StoreError: the store cannot be reached.
        """


class HistoryStore(HistoryReader, EventLog, CatalogueChanges, Agreements, Protocol):
    """Store of a service's events: histories, log and changes of the catalogue in one place."""

    def serve(self) -> None:
        """Take the store for a service, until it is closed.

        Raises:
            UserError: another service has it, and they cannot share it.
        """

    def import_lines(self, rows: Iterable[LoggedEvent], key: str) -> int:
        """Import another log into the histories, once; the imported events do not appear in `since`.

        The log may lack fields of events that clients reported. Of events with the same user, second and line a history
        therefore holds as many as the log, or as were reported, whichever is more.

        Args:
            rows: the events of the log.
            key: names the log; a log that was imported before is skipped.

        Returns:
            How many events were new.

        Raises:
            StoreError: they are not stored.
        """

    def users(self, prefix: str, most: int) -> list[str]:
        """Return ids of users that have a history and whose id begins with `prefix`, sorted, at most `most`.

        Raises:
            StoreError: the store cannot be reached.
        """

    def ping(self) -> None:
        """Check that the store can be reached and read.

        Raises:
            StoreError: it cannot.
            UserError: it may drop what it has taken.
        """

    def close(self) -> None:
        """Close the store."""


class EventSource(Protocol):
    """Source of events from outside, such as files of a nightly export or a stream.

    Events are returned again, also to another process, until `done` confirms that they are stored.
    """

    def new(self) -> list[Event]:
        """Return the next batch of events; [] where nothing is new.

        Raises:
            UserError: the new data is no table or message of events.
        """

    def done(self) -> None:
        """Confirm that the last result of `new` is stored."""


HISTORY_STORES: Registry[Callable[[str], HistoryStore]] = Registry("store of events")
"""Openers of a store at a place, by the place's scheme; they raise `UserError` where it cannot be opened."""

EVENT_SOURCES: Registry[Callable[[str, Path], EventSource]] = Registry("source of events")
"""Openers of a source at a place, by the place's scheme; they raise `UserError` where it cannot be opened.

The second argument is a file in which the source may store its position.
"""
