"""Opened release: declarations and items in memory, with the changes since the release was written."""

import time
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints, Strings
from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.core.offers import Offers, offers_of
from unified_ranker.core.request import Request
from unified_ranker.core.times import CLOCK_SKEW, seconds
from unified_ranker.release.items import (
    AT_ONCE,
    NO_FIELDS,
    ReleasedFields,
    read_catalogue,
    read_fields,
    read_items,
    text_objects,
)
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import Manifest, read_manifest
from unified_ranker.serving.answering.stored_popularity import Popularity, StoredPopularity
from unified_ranker.serving.retrieval.overlay import Changes, Overlay, overlay_of


@dataclass(frozen=True, eq=False)
class OpenedRelease:
    """The parts of a release beside its model, in memory.

    Attributes:
        manifest: of the release.
        config: the release's declarations.
        item_ids: `[items]`.
        vectors: `[items, width]`.
        titles: `[items]`, "" where absent.
        created_at: seconds, `[items]`; `NEVER` where absent.
        offers: availability and countries of the items.
        clock: returns the present, in seconds since 1970.
        foreign: mask of items added since, which the release's model does not know, `[items]`; None: none.
        live: changes since the release was written.
        popularity: of the items as of any moment; None: that of the end of the fit window, which the model knows.
        catalogue: directory of the items' fields; None: they are not kept.
    """

    manifest: Manifest
    config: Config
    item_ids: Strings
    vectors: npt.NDArray[np.float32]
    titles: Strings
    created_at: Ints
    offers: Offers
    clock: Callable[[], float] = time.time
    foreign: npt.NDArray[np.bool_] | None = None
    live: Overlay | None = None
    popularity: Popularity | None = None
    catalogue: Path | None = None
    _made: "_MadeOnce" = field(default_factory=lambda: _MadeOnce(), repr=False, init=False)

    @classmethod
    def open(cls, release: Path) -> "OpenedRelease":
        """Read a release's directory.

        Raises:
            UserError: it is no release, or its vectors and its catalogue have different items.
        """
        manifest = read_manifest(release)
        layout = Layout(release)
        item_ids, vectors = read_items(layout.items)
        catalogue = read_catalogue(layout.catalogue)
        listed = text_objects(pa.array(catalogue["item_id"], pa.large_string()))
        if len(listed) != len(item_ids) or not _same(listed, item_ids):
            raise UserError(
                f"catalogue and vectors of `{release}` must list the same items in the same order. Received: "
                f"{len(catalogue)} and {len(item_ids)} items. Export again; a release is never edited."
            )
        opened = cls(
            manifest=manifest,
            config=manifest.config,
            item_ids=item_ids,
            vectors=vectors,
            titles=text_objects(pa.array(catalogue["title"].fillna(""), pa.large_string())),
            created_at=seconds(catalogue["created_at"]),
            offers=offers_of(catalogue),
            popularity=_popularity(layout, manifest, item_ids),
            catalogue=layout.catalogue,
        )
        # Arrow would keep the memory that reading took: several times that of the vectors.
        pa.default_memory_pool().release_unused()
        return opened

    def with_changes(self, changes: Changes) -> "OpenedRelease":
        """Return the release with other changes; its arrays are shared and not copied."""
        live = overlay_of(changes, self.row_of, self.vectors.shape[1]) if changes else None
        return self._of_same_items(replace(self, live=live))

    def with_popularity(self, popularity: Popularity) -> "OpenedRelease":
        """Return the release with another popularity, which numbers the items alike; arrays are shared, not copied."""
        return self._of_same_items(replace(self, popularity=popularity))

    @property
    def version(self) -> int:
        """The release's number."""
        return self.manifest.version

    @property
    def count(self) -> int:
        """Number of items, including live ones."""
        return len(self.item_ids) + (len(self.live) - len(self.live.removed) if self.live is not None else 0)

    @property
    def row_of(self) -> Mapping[str, int]:
        """Positions of the release's own items by id."""
        if self._made.row_of is None:
            row_of: dict[str, int] = {}
            for start in range(0, len(self.item_ids), AT_ONCE):
                row_of.update(
                    zip(self.item_ids[start : start + AT_ONCE], range(start, len(self.item_ids)), strict=False)
                )
                time.sleep(0)  # lets other threads answer requests while a large release is opened
            self._made.row_of = row_of
        return self._made.row_of

    @property
    def position_count(self) -> int:
        """Number of positions: those of the release's items, then those of items added since."""
        return len(self.item_ids) + (len(self.live) if self.live is not None else 0)

    def positions(self, item_ids: Iterable[str]) -> Ints:
        """Return the present positions of items `[n]`; -1 for an id that is not in the catalogue."""
        return np.array([self._position(item_id) for item_id in item_ids], np.int64)

    def ids_at(self, positions: Ints) -> Strings:
        """Return the ids of items at `positions` `[n]`, including live ones."""
        return self._at(positions, self.item_ids, self.live.item_ids if self.live is not None else None)

    def titles_at(self, positions: Ints) -> Strings:
        """Return the titles of items at `positions` `[n]`."""
        return self._at(positions, self.titles, self.live.titles if self.live is not None else None)

    def foreign_at(self, positions: Ints) -> npt.NDArray[np.bool_]:
        """Mark the items at `positions` `[n]` that the model does not know, or knows with other fields."""
        late = positions >= len(self.item_ids)
        if self.foreign is not None:
            late = late | self.foreign[np.where(late, 0, positions)]
        return late

    def vectors_at(self, positions: Ints) -> npt.NDArray[np.float32]:
        """Return the vectors `[n, width]` of items at `positions` `[n]`."""
        late = positions >= len(self.item_ids)
        out = self.vectors[np.where(late, 0, positions)]
        if self.live is not None and late.any():
            out[late] = self.live.vectors[positions[late] - len(self.item_ids)]
        return out

    def numbers_at(self, positions: Ints) -> Ints:
        """Return the numbers (see `Popularity`) of items at `positions` `[n]`; -1 for one that has none."""
        late = self.foreign_at(positions)
        numbers = np.where(late, MISSING, positions)
        if self.foreign is not None:
            numbers[~late] = self.own_numbers[positions[~late]]
        if late.any() and self.popularity is not None:
            numbers[late] = self.popularity.numbers(self.ids_at(positions[late]))
        return numbers

    @property
    def own_numbers(self) -> Ints:
        """Numbers of the items in the index, `[items]`, after a rebuild has given them other positions."""
        if self._made.numbers is None:
            everywhere = np.arange(len(self.item_ids))
            self._made.numbers = everywhere if self.popularity is None else self.popularity.numbers(self.item_ids)
        return self._made.numbers

    def positions_of(self, numbers: Ints) -> Ints:
        """Return the present positions of items by their numbers `[n]`; -1 for an item that is not in the catalogue."""
        if self.popularity is None or (self.live is None and self.foreign is None):
            return np.where(numbers < len(self.item_ids), numbers, MISSING)
        return self.positions(self.popularity.ids(numbers))

    def knows(self, item_id: str) -> bool:
        """Tell whether an item is in the present catalogue."""
        return self._position(item_id) != MISSING

    def released_fields(self, item_ids: Collection[str]) -> ReleasedFields:
        """Return the fields of few items as the release has them, without the changes since; read from disk."""
        if self.catalogue is None or not item_ids:
            return NO_FIELDS
        return read_fields(self.catalogue, item_ids)

    def require_task(self, task: str) -> None:
        """Check that the release declares a task.

        Raises:
            UserError: it does not; the message names the known ones.
        """
        if task not in self.config.tasks:
            raise unknown_name("task", task, self.config.tasks)

    def timed(self, request: Request) -> Request:
        """Return a request with the time at which it is made; without one it is made now, whenever it is answered.

        After an event of the present second it is made one second later: the model reads events strictly before a
        request, in whole seconds, and would otherwise miss one that was reported just before.
        """
        if request.timestamp > 0 or not len(request.history):
            return request
        last, now = int(request.history.timestamp[-1]), int(self.clock())
        return replace(request, timestamp=last + 1) if now <= last <= now + CLOCK_SKEW else request

    def moment(self, request: Request) -> int:
        """Return when a request that is `timed` is made, in seconds."""
        return request.timestamp if request.timestamp > 0 else int(self.clock())

    def limit(self, request: Request) -> int:
        """Return the number of items of a request's answer; a limit of 0 means the task's own."""
        return request.limit or self.config.tasks[request.task].serving.limit

    def candidates(self, request: Request) -> int:
        """Return the number of candidates that retrieval should find for a request."""
        return max(self.config.tasks[request.task].serving.candidates, self.limit(request))

    def not_before(self, moment: int) -> int:
        """Return how many items were not created before a moment, in seconds: none of them may answer then."""
        if self._made.creation is None:
            self._made.creation = np.sort(self.created_at)
        return len(self.created_at) - int(np.searchsorted(self._made.creation, moment, side="left"))

    def _of_same_items(self, changed: "OpenedRelease") -> "OpenedRelease":
        """Share what was computed of the items with a release that has the same ones."""
        for name, value in vars(self._made).items():
            setattr(changed._made, name, value)
        return changed

    def _position(self, item_id: str) -> int:
        if self.live is not None and item_id in self.live.changes:
            row = self.live.row_of.get(item_id)
            return MISSING if row is None else len(self.item_ids) + row
        return self.row_of.get(item_id, MISSING)

    def _at(self, positions: Ints, of_release: Strings, of_live: Strings | None) -> Strings:
        late = positions >= len(self.item_ids)
        if of_live is None or not late.any():
            return of_release[positions]
        out = of_release[np.where(late, 0, positions)]
        out[late] = of_live[positions[late] - len(self.item_ids)]
        return out


@dataclass
class _MadeOnce:
    """Look-ups over a release's own items; None: not needed until now.

    Attributes:
        row_of: positions of the items by id.
        numbers: see `OpenedRelease.own_numbers`.
        creation: times of creation, ascending.
    """

    row_of: dict[str, int] | None = None
    numbers: Ints | None = None
    creation: Ints | None = None


def _popularity(layout: Layout, manifest: Manifest, item_ids: Strings) -> Popularity | None:
    if manifest.counts is None:
        return None
    return StoredPopularity(layout.counts, manifest.counts, manifest.config.towers.item.popularities, item_ids)


def _same(one: Strings, other: Strings) -> bool:
    for start in range(0, len(one), AT_ONCE):
        if not (one[start : start + AT_ONCE] == other[start : start + AT_ONCE]).all():
            return False
        time.sleep(0)
    return True
