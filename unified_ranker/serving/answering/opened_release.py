"""A release as an answer needs it: its items, and by its declarations which of them may answer a request."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.core.arrays import Ints, Strings
from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.core.request import Request
from unified_ranker.prepare.examples import seconds
from unified_ranker.release.items import AT_ONCE, read_catalogue, read_items, text_objects
from unified_ranker.release.layout import Layout, read_manifest
from unified_ranker.serving.retrieval.filters import Filters, filters_of
from unified_ranker.serving.retrieval.overlay import Changes, Overlay, overlay_of
from unified_ranker.tasks.engagement import engaged_items


@dataclass(frozen=True, eq=False)
class OpenedRelease:
    """The parts of a release beside its model, in memory.

    Attributes:
        manifest: see design section 6.
        config: the declarations that it was made by.
        item_ids: `[items]`.
        vectors: `[items, width]`.
        titles: `[items]`, "" where absent.
        created_at: seconds, `[items]`; the least int64 where absent.
        clock: what time it is, in seconds since 1970.
        filters: where its items may be shown; None: everywhere.
        foreign: items that the release's model does not know, because they came while serving, `[items]`; None: none.
        live: changes since.
    """

    manifest: dict[str, Any]
    config: Config
    item_ids: Strings
    vectors: npt.NDArray[np.float32]
    titles: Strings
    created_at: Ints
    clock: Callable[[], float] = time.time
    filters: Filters | None = None
    foreign: npt.NDArray[np.bool_] | None = None
    live: Overlay | None = None
    # Worked out once, and shared by what `with_changes` returns.
    memo: dict[str, Any] = field(default_factory=dict, repr=False, init=False)

    @classmethod
    def open(cls, release: Path) -> "OpenedRelease":
        """Read a release's directory.

        Raises:
            UserError: it is no release, or its vectors and its catalogue list different items.
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
            config=Config.model_validate(manifest["config"]),
            item_ids=item_ids,
            vectors=vectors,
            titles=text_objects(pa.array(catalogue["title"].fillna(""), pa.large_string())),
            created_at=seconds(catalogue["created_at"]),
            filters=filters_of(catalogue),
        )
        # What the files took while they were read would stay with Arrow: several times the vectors.
        pa.default_memory_pool().release_unused()
        return opened

    def with_changes(self, changes: Changes) -> "OpenedRelease":
        """Return the release with changes since it was written; nothing of it is copied."""
        live = overlay_of(changes, self.place, self.vectors.shape[1]) if changes else None
        changed = replace(self, live=live)
        changed.memo.update(self.memo)
        return changed

    @property
    def version(self) -> int:
        """The release's number."""
        return int(self.manifest["version"])

    @property
    def count(self) -> int:
        """How many items it has, with those that came since."""
        return len(self.item_ids) + (len(self.live) - len(self.live.removed) if self.live is not None else 0)

    @property
    def place(self) -> Mapping[str, int]:
        """Positions by item id, without changes since."""
        if "place" not in self.memo:
            place: dict[str, int] = {}
            for start in range(0, len(self.item_ids), AT_ONCE):
                place.update(
                    zip(self.item_ids[start : start + AT_ONCE], range(start, len(self.item_ids)), strict=False)
                )
                time.sleep(0)  # lets requests through while a large release is opened beside the one that answers
            self.memo["place"] = place
        return self.memo["place"]

    def ids_at(self, positions: Ints) -> Strings:
        """Return the ids of items at `positions` `[n]`, those that came since included."""
        return self._at(positions, self.item_ids, self.live.item_ids if self.live is not None else None)

    def titles_at(self, positions: Ints) -> Strings:
        """Return the titles of items at `positions` `[n]`."""
        return self._at(positions, self.titles, self.live.titles if self.live is not None else None)

    def foreign_at(self, positions: Ints) -> npt.NDArray[np.bool_]:
        """Return which items at `positions` `[n]` the model does not know, or knows otherwise."""
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

    def knows(self, item_id: str) -> bool:
        """Tell whether an item is in the catalogue as it is now."""
        if self.live is not None and item_id in self.live.changes:
            return self.live.changes[item_id] is not None
        return item_id in self.place

    def require_task(self, task: str) -> None:
        """Refuse a task that the release does not declare.

        Raises:
            UserError: naming the known ones.
        """
        if task not in self.config.tasks:
            raise unknown_name("task", task, self.config.tasks)

    def limit(self, request: Request) -> int:
        """Return how many items a request asks for; a limit of 0 means the task's own."""
        return request.limit or self.config.tasks[request.task].serving.limit

    def candidates(self, request: Request) -> int:
        """Return how many items retrieval owes the ranker for a request, if so many may answer it."""
        return max(self.config.tasks[request.task].serving.candidates, self.limit(request))

    def banned(self, request: Request) -> set[str]:
        """Return the ids that may not answer a request: its source and query item, and what its user engaged with."""
        banned = {request.source_item_id, request.query_item_id}
        earlier = request.history.before(request.timestamp)
        return banned | engaged_items(request.task, self.config.tasks[request.task], earlier)

    def excluded(self, request: Request) -> Ints:
        """Return the positions of the items that may not answer a request, ascending (design section 4).

        They are those created after it, its source item and query item, and what its user had engaged with before,
        where the task excludes that; and those that were taken out or replaced since the release was written.
        """
        places = [self.place[item] for item in self.banned(request) if item in self.place]
        parts = [np.array(places, np.int64), self._created_after(request.timestamp or int(self.clock()))]
        if self.live is not None:
            parts.append(self.live.removed)
        return np.unique(np.concatenate(parts))

    def excluded_live(self, request: Request) -> npt.NDArray[np.bool_]:
        """Return which of the items that came since may not answer a request, `[live]`."""
        if self.live is None:
            return np.zeros(0, bool)
        out = self.live.blocked(request.country)
        out |= self.live.created_at > (request.timestamp or int(self.clock()))
        for item in self.banned(request):
            if item in self.live.place:
                out[self.live.place[item]] = True
        return out

    def with_proposals(self, found: Ints, proposed: Sequence[str], request: Request) -> Ints:
        """Put the items that the model's signals propose before those that retrieval found, each once.

        Args:
            found: positions of items that may answer, best first.
            proposed: item ids; those that may not answer are left out.
            request: whose candidates they are.

        Returns:
            As many positions as `candidates` says, or all there are.
        """
        places = np.array([self.place[item] for item in proposed if item in self.place], np.int64)
        if not len(places):
            return found
        places = places[~np.isin(places, self.excluded(request))]
        blocked, _ = self.filters.blocked(request.country) if self.filters else (None, 0)
        if blocked is not None:
            places = places[~blocked[places]]
        return np.concatenate([places, found[~np.isin(found, places)]])[: self.candidates(request)]

    def _at(self, positions: Ints, of_release: Strings, of_live: Strings | None) -> Strings:
        late = positions >= len(self.item_ids)
        if of_live is None or not late.any():
            return of_release[positions]
        out = of_release[np.where(late, 0, positions)]
        out[late] = of_live[positions[late] - len(self.item_ids)]
        return out

    def _created_after(self, moment: int) -> Ints:
        if "creation" not in self.memo:
            order = np.argsort(self.created_at, kind="stable")
            self.memo["creation"] = (order, self.created_at[order])
        order, times = self.memo["creation"]
        return order[np.searchsorted(times, moment, side="right") :]


def _same(one: Strings, other: Strings) -> bool:
    for start in range(0, len(one), AT_ONCE):
        if not (one[start : start + AT_ONCE] == other[start : start + AT_ONCE]).all():
            return False
        time.sleep(0)
    return True
