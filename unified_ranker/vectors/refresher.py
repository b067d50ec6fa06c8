"""Refresher of the published vectors: embeds the users of new events and new items, and writes them to the store."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from unified_ranker.core.errors import UserError
from unified_ranker.core.times import DAY
from unified_ranker.events.base import HistoryStore
from unified_ranker.events.feed import EventFeed
from unified_ranker.events.growing_directory import GrowingDirectory
from unified_ranker.events.parquet_events import items_of
from unified_ranker.store import EmbeddingStore
from unified_ranker.vectors.embedded_release import EmbeddedRelease
from unified_ranker.vectors.embedder import Embedder

MOST_EVENTS = 2000
"""Most events of one step, and so most users that are embedded before they are written to the store."""
LATE = DAY
"""Longest delay (seconds) of an event that is still processed after a full export with a later time."""


@dataclass(frozen=True)
class Refreshed:
    """Result of one step.

    Attributes:
        version: of the store that was refreshed.
        events: number of new events.
        users: number of refreshed users.
        items: number of refreshed items.
        delay: seconds from the oldest event to its user's vector in the store; 0 without an event.
    """

    version: int
    events: int
    users: int
    items: int
    delay: float

    @property
    def idle(self) -> bool:
        """Tells whether there was nothing to do."""
        return not (self.events or self.items)


@dataclass
class Sources:
    """Sources that a refresher follows.

    Attributes:
        histories: the log of events, and the histories of users.
        feed: copies events from files into `histories` first; None: none.
        items: a directory of new items, besides those of `histories.items()`; None: none.
    """

    histories: HistoryStore
    feed: EventFeed | None = None
    items: GrowingDirectory | None = None
    given: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_items(self) -> dict[str, dict[str, Any]]:
        """Return the fields of all items that were added since the release and not removed, by id."""
        if self.items is not None:
            for name, table in self.items.new():
                self.given.update(items_of(table, self.items.directory / name))
                self.items.done([name])
        live = {name: dict(fields) for name, fields in self.histories.items().items() if fields is not None}
        return {**self.given, **live}


class Refresher:
    """Keeps the published version up to date with new events and items, also after another version is published.

    Args:
        release: of the published version; other releases are looked for beside it.
        store: to write vectors to; the caller holds the refresher's lock.
        sources: of events and items.
        reopen: opens another release of the same project.
        clock: returns the present, in seconds since 1970.
    """

    def __init__(
        self,
        release: EmbeddedRelease,
        store: EmbeddingStore,
        sources: Sources,
        reopen: Callable[[Path], EmbeddedRelease],
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._release, self._store, self._sources = release, store, sources
        self._reopen, self._clock = reopen, clock
        self._version, self._since, self._position = 0, 0, ""
        self._embedder: Embedder | None = None
        self._items: dict[str, dict[str, Any]] = {}

    def step(self) -> Refreshed:
        """Process a batch of new events, and all new items.

        Raises:
            UserError: nothing is published, its release is missing, or a source cannot be read.
            StoreError: the store of histories does not answer.
        """
        if self._sources.feed is not None:
            self._sources.feed.poll()
        embedder = self._follow()
        items = self._put_items(embedder)
        new = self._sources.histories.since(self._position, MOST_EVENTS)
        if not new:
            return Refreshed(self._version, 0, 0, items, 0.0)
        position = new[-1][0]
        # The full export includes older events.
        recent = [event for _, event in new if event.timestamp >= self._since]
        users = list(dict.fromkeys(event.user_id for event in recent if event.user_id))
        self._put_users(embedder, users, position)
        self._position = position
        delay = self._clock() - min((event.timestamp for event in recent), default=self._clock())
        return Refreshed(self._version, len(new), len(users), items, delay)

    def _follow(self) -> Embedder:
        """Return the embedder of the version that is published now."""
        version = self._store.version
        if version == self._version and self._embedder is not None:
            return self._embedder
        manifest = self._store.manifest
        number = manifest.release.version
        if number != self._release.manifest.version:
            beside = self._release.directory.parent / str(number)
            if not beside.is_dir():
                raise UserError(
                    f"version {version} of the store is of release {number}, and there is none at `{beside}`. Refresh "
                    "where that release is, or publish a version of this one."
                )
            self._release = self._reopen(beside)
        self._embedder = Embedder(self._release, manifest.space)
        self._version, self._since = version, manifest.as_of - LATE
        self._position, self._items = self._store.backend.position(version), {}
        return self._embedder

    def _put_users(self, embedder: Embedder, users: Sequence[str], position: str) -> None:
        now = int(self._clock())
        histories = [self._sources.histories.before(user, 0) for user in users]
        # One second later, so that an event of the present second counts.
        times = [max(now, int(history.timestamp.max(initial=0)) + 1) for history in histories]
        cold = np.array([len(history) == 0 for history in histories], bool)
        vectors = embedder.users(users, histories, times)
        self._store.put_many("user", users, vectors, np.array(times, np.int64), cold, position)

    def _put_items(self, embedder: Embedder) -> int:
        wanted = self._sources.new_items()
        changed = {name: fields for name, fields in wanted.items() if self._items.get(name) != fields}
        if changed:
            vectors = embedder.items(embedder.item_table(changed))
            self._store.put_many("item", list(changed), vectors, int(self._clock()), None, self._position)
            self._items.update(changed)
        return len(changed)
