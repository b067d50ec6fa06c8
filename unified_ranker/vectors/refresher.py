"""Refresher of the published vectors: embeds the users of new events and new items, and writes them to the store."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.errors import UserError
from unified_ranker.core.ids import NO_ID, is_storable
from unified_ranker.core.request import History
from unified_ranker.core.times import CLOCK_SKEW, DAY
from unified_ranker.events.base import DamagedStoreError, HistoryStore
from unified_ranker.events.feed import EventFeed
from unified_ranker.events.growing_directory import GrowingDirectory
from unified_ranker.events.parquet_events import items_of
from unified_ranker.events.refused_records import RefusedRecords
from unified_ranker.release.items import NO_FIELDS, read_fields
from unified_ranker.release.layout import Layout
from unified_ranker.store import EmbeddingStore
from unified_ranker.vectors.embedded_release import EmbeddedRelease
from unified_ranker.vectors.embedder import Embedder

MOST_EVENTS = 2000
"""Most events of one step, and so most users that are embedded before they are written to the store."""
_WRONG_FIELDS = (UserError, ValueError, TypeError, OverflowError)
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
        quarantined: number of events, users and items that were quarantined.
        delay: seconds from the oldest event to its user's vector in the store; 0 without an event.
    """

    version: int
    events: int
    users: int
    items: int
    quarantined: int
    delay: float

    @property
    def idle(self) -> bool:
        """Tells whether there was nothing to do."""
        return not (self.events or self.items or self.quarantined)


@dataclass
class Sources:
    """Sources that a refresher follows.

    Attributes:
        histories: the log of events, and the histories of users.
        feed: copies events from files into `histories` first; None: none.
        items: a directory of new items, besides those of `histories.item_changes()`; None: none.
        refused: takes what cannot be embedded or stored.
        given: fields of the items of the directory, by id.
    """

    histories: HistoryStore
    feed: EventFeed | None = None
    items: GrowingDirectory | None = None
    refused: RefusedRecords = field(default_factory=RefusedRecords)
    given: dict[str, dict[str, Any]] = field(default_factory=dict)

    def new_items(self, release: EmbeddedRelease) -> dict[str, dict[str, Any]]:
        """Return the fields of all items that were added or changed since a release and not removed, by id.

        A patch of an item is left out where the release does not keep the fields that it changes.
        """
        if self.items is not None:
            for name, table in self.items.new():
                self.given.update(items_of(table, self.items.directory / name))
                self.items.done([name])
        changes = self.histories.item_changes()
        patched = [change.item_id for change in changes if change.partial]
        released = read_fields(Layout(release.directory).catalogue, patched) if patched else NO_FIELDS
        embedded = {feature.column for feature in release.config.towers.item.features}
        live = {
            change.item_id: change.over(released.by_item.get(change.item_id))
            for change in changes
            if not change.partial or released.keep(embedded)
        }
        return {**self.given, **{name: dict(fields) for name, fields in live.items() if fields is not None}}


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
        refused = self._sources.refused.count
        if self._sources.feed is not None:
            self._sources.feed.poll()
        embedder = self._follow()
        items = self._put_items(embedder)
        new = self._sources.histories.since(self._position, MOST_EVENTS)
        if not new:
            return Refreshed(self._version, 0, 0, items, self._sources.refused.count - refused, 0.0)
        position = new[-1][0]
        # The full export includes older events.
        recent = [event for _, event in new if event.timestamp >= self._since]
        users = list(dict.fromkeys(event.user_id for event in recent if event.user_id))
        put = self._put_users(embedder, users, position)
        self._position = position
        delay = self._clock() - min((event.timestamp for event in recent), default=self._clock())
        return Refreshed(self._version, len(new), put, items, self._sources.refused.count - refused, delay)

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

    def _put_users(self, embedder: Embedder, users: Sequence[str], position: str) -> int:
        now = int(self._clock())
        known = {user: self._history(user, now + CLOCK_SKEW + 1) for user in users if self._takes("user", user)}
        users = [user for user, history in known.items() if history is not None]
        histories = [history for history in known.values() if history is not None]
        # One second later, so that an event of the present second counts.
        times = np.array([max(now, int(history.timestamp.max(initial=0)) + 1) for history in histories], np.int64)
        cold = np.array([len(history) == 0 for history in histories], bool)
        vectors = embedder.users(users, histories, times.tolist())
        rows = self._sound("user", users, vectors)
        names = [users[row] for row in rows.tolist()]
        self._store.put_many("user", names, vectors[rows], times[rows], cold[rows], position)
        return len(names)

    def _put_items(self, embedder: Embedder) -> int:
        wanted = self._sources.new_items(self._release)
        changed = {name: fields for name, fields in wanted.items() if self._items.get(name) != fields}
        self._items.update(changed)
        sound = {name: fields for name, fields in changed.items() if self._takes("item", name)}
        table = table_of_sound(embedder, sound, self._sources.refused)
        if not len(table):
            return 0
        names, vectors = table["item_id"].tolist(), embedder.items(table)
        rows = self._sound("item", names, vectors)
        kept = [names[row] for row in rows.tolist()]
        self._store.put_many("item", kept, vectors[rows], int(self._clock()), None, self._position)
        return len(kept)

    def _history(self, user: str, timestamp: int) -> History | None:
        """Return a user's history; one that is damaged is quarantined."""
        try:
            return self._sources.histories.before(user, timestamp)
        except DamagedStoreError as error:
            self._sources.refused.add("user", str(error), {"user_id": user})
            return None

    def _takes(self, kind: str, name: str) -> bool:
        """Tell whether a store can hold an id; one that is too long, as older services took them, is quarantined."""
        if is_storable(name):
            return True
        self._sources.refused.add(kind, NO_ID, {f"{kind}_id": name})
        return False

    def _sound(self, kind: str, names: Sequence[str], vectors: Floats) -> Ints:
        """Return the rows of vectors `[n, width]` that are finite and not zero; the others are quarantined."""
        sound = np.isfinite(vectors).all(1) & vectors.any(1)
        for row in np.flatnonzero(~sound).tolist():
            reason = "its vector is not finite, or zero"
            self._sources.refused.add(kind, reason, {f"{kind}_id": names[row]})
        return np.flatnonzero(sound)


def table_of_sound(embedder: Embedder, items: Mapping[str, Mapping[str, Any]], refused: RefusedRecords) -> pd.DataFrame:
    """Return items by id as a table, without those whose fields are not what the item tower reads."""
    try:
        return embedder.item_table(items)
    except _WRONG_FIELDS as error:
        if len(items) == 1:
            ((name, fields),) = items.items()
            refused.add("item", str(error), {"item_id": name, **fields})
            return embedder.item_table({})
        # By halves, because few of many are wrong.
        names, half = list(items), len(items) // 2
        parts = ({name: items[name] for name in part} for part in (names[:half], names[half:]))
        return pd.concat([table_of_sound(embedder, part, refused) for part in parts], ignore_index=True)
