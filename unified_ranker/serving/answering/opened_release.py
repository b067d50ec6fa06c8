"""A release as an answer needs it: its items, and by its declarations which of them may answer a request."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Config
from unified_ranker.data.examples import Ints, Strings, seconds
from unified_ranker.errors import UserError, unknown_name
from unified_ranker.export.items import read_catalogue, read_items
from unified_ranker.export.release import Layout, read_manifest
from unified_ranker.export.requests import Request
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
    """

    manifest: dict[str, Any]
    config: Config
    item_ids: Strings
    vectors: npt.NDArray[np.float32]
    titles: Strings
    created_at: Ints
    clock: Callable[[], float] = time.time

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
        if list(catalogue["item_id"]) != list(item_ids):
            raise UserError(
                f"catalogue and vectors of `{release}` must list the same items in the same order. Received: "
                f"{len(catalogue)} and {len(item_ids)} items. Export again; a release is never edited."
            )
        return cls(
            manifest=manifest,
            config=Config.model_validate(manifest["config"]),
            item_ids=item_ids,
            vectors=vectors,
            titles=catalogue["title"].fillna("").to_numpy(object),
            created_at=seconds(catalogue["created_at"]),
        )

    @property
    def version(self) -> int:
        """The release's number."""
        return int(self.manifest["version"])

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

    def excluded(self, request: Request) -> Ints:
        """Return the positions of the items that may not answer a request, ascending (design section 4).

        They are those created after it, its source item and query item, and what its user had engaged with before,
        where the task excludes that.
        """
        banned = {request.source_item_id, request.query_item_id}
        earlier = request.history.before(request.timestamp)
        banned |= engaged_items(request.task, self.config.tasks[request.task], earlier)
        places = [self._place[item] for item in banned if item in self._place]
        return np.union1d(np.array(places, np.int64), self._created_after(request.timestamp or int(self.clock())))

    def _created_after(self, moment: int) -> Ints:
        order, times = self._by_creation
        return order[np.searchsorted(times, moment, side="right") :]

    @cached_property
    def _place(self) -> dict[str, int]:
        return {item: place for place, item in enumerate(self.item_ids)}

    @cached_property
    def _by_creation(self) -> tuple[Ints, Ints]:
        order = np.argsort(self.created_at, kind="stable")
        return order, self.created_at[order]
