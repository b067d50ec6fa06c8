"""Overlay: items that were added, replaced or removed since the release was written.

An index is never changed while it is searched. Changes are in a small overlay beside it, which is searched exactly. A
request uses one overlay from begin to end, and the next request the next one. A rebuild moves changes into the index.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import Ints, Strings
from unified_ranker.core.offers import Offers
from unified_ranker.core.times import NEVER


@dataclass(frozen=True, eq=False)
class LiveItem:
    """Item that was added or replaced while serving.

    Attributes:
        item_id: its id; it replaces the release's item of the same id.
        vector: `[width]`.
        title: "" where absent.
        created_at: seconds; `NEVER` where absent.
        countries: where it is offered; none: everywhere.
        available: whether it may be shown at all.
    """

    item_id: str
    vector: npt.NDArray[np.float32]
    title: str = ""
    created_at: int = NEVER
    countries: tuple[str, ...] = ()
    available: bool = True


Changes = Mapping[str, LiveItem | None]
"""Changes by item id: an added item, or None for a removed one."""


@dataclass(frozen=True, eq=False)
class Overlay:
    """Changes as arrays. Its items have the positions after the release's.

    Attributes:
        changes: the changes.
        removed: positions of the release's items that are replaced or removed, ascending.
        item_ids: `[live]`.
        titles: `[live]`.
        created_at: seconds, `[live]`.
        offers: availability and countries of its items.
        vectors: `[live, width]`.
        row_of: row by id.
    """

    changes: Changes
    removed: Ints
    item_ids: Strings
    titles: Strings
    created_at: Ints
    offers: Offers
    vectors: npt.NDArray[np.float32]
    row_of: Mapping[str, int]

    def __len__(self) -> int:
        """Return how many items it holds."""
        return len(self.item_ids)


def overlay_of(changes: Changes, row_of: Mapping[str, int], width: int) -> Overlay:
    """Arrange changes over a release whose items have the positions `row_of`, with vectors `[…, width]`."""
    live = [item for item in changes.values() if item is not None]
    removed = sorted(row_of[item_id] for item_id in changes if item_id in row_of)
    return Overlay(
        changes=dict(changes),
        removed=np.array(removed, np.int64),
        item_ids=_texts(item.item_id for item in live),
        titles=_texts(item.title for item in live),
        created_at=np.array([item.created_at for item in live], np.int64),
        offers=Offers.of([item.available for item in live], [item.countries for item in live]),
        vectors=np.array([item.vector for item in live], np.float32).reshape(len(live), width),
        row_of={item.item_id: row for row, item in enumerate(live)},
    )


def without(changes: Changes, done: Changes) -> dict[str, LiveItem | None]:
    """Return the changes without those in `done`: newer changes of the same items stay."""
    return {item_id: item for item_id, item in changes.items() if item_id not in done or done[item_id] is not item}


def _texts(values: Any) -> Strings:
    out: Collection[str] = list(values)
    return np.array([*out, None], object)[:-1]
