"""Some real requests of a task as a reader sees them: what came before, what was recommended, what was taken."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.evaluation.metrics import Ranks
from unified_ranker.evaluation.task_seed import task_seed
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

SHOWN = 5
"""Requests of a task that the report shows."""
LAST_ITEMS = 5
"""Items of the user before the request that are shown."""


@dataclass(frozen=True)
class ShownItem:
    """An item of a shown request: its title, or its id without one, and whether the user took it next."""

    title: str
    taken: bool = False


@dataclass(frozen=True)
class ShownRequest:
    """One request of the slice, without the user's id.

    Attributes:
        timestamp: of the request, seconds since 1970 UTC.
        events: how many events its user had before.
        last: titles of the user's last items, the newest first.
        query: "" without one.
        source: title of the source item; "" without one.
        recommended: the ten that the joint model puts first.
        taken: title of the item that the user took next.
        rank: its rank by the joint model; None where it was no candidate.
        event: name of the head that it teaches.
    """

    timestamp: int
    events: int
    last: tuple[str, ...]
    query: str
    source: str
    recommended: tuple[ShownItem, ...]
    taken: str
    rank: float | None
    event: str


def show_requests(
    task: str, requests: Examples, ranks: Ranks, top: Ints, prepared: Prepared, seed: int
) -> tuple[ShownRequest, ...]:
    """Draw `SHOWN` of the requests of a task, and put titles in the place of numbers.

    Args:
        task: its name; each task has its own draw.
        requests: `[requests]`.
        ranks: of each target by the joint model, `[requests]`.
        top: what the joint model puts first, `[requests, ten]`; `MISSING` where there are fewer.
        prepared: the prepared log.
        seed: of the draw.
    """
    random = np.random.default_rng(task_seed(seed, task, SHOWN))
    rows = np.sort(random.choice(len(requests), min(SHOWN, len(requests)), replace=False))
    drawn, length = requests.take(rows), np.minimum(requests.history_length[rows], LAST_ITEMS)
    ends = prepared.histories.offsets[drawn.user] + drawn.history_length
    past = [prepared.histories.item[end - count : end][::-1] for end, count in zip(ends, length, strict=True)]
    return tuple(
        ShownRequest(
            timestamp=int(drawn.timestamp[at]),
            events=int(drawn.history_length[at]),
            last=tuple(title_of(prepared, item) for item in past[at]),
            query=str(drawn.query[at]),
            source="" if drawn.source_item[at] == MISSING else title_of(prepared, drawn.source_item[at]),
            recommended=tuple(
                ShownItem(title_of(prepared, item), bool(item == drawn.item[at]))
                for item in top[row]
                if item != MISSING
            ),
            taken=title_of(prepared, drawn.item[at]),
            rank=float(ranks[row]) if np.isfinite(ranks[row]) else None,
            event=str(drawn.head[at]),
        )
        for at, row in enumerate(rows)
    )


def title_of(prepared: Prepared, item: int) -> str:
    """Return the title of an item, its id where it has none, "unknown item" where it is not in the items table."""
    if item == MISSING:
        return "unknown item"
    title, item_id = prepared.items["title"].iat[item], prepared.items["item_id"].iat[item]
    return title if isinstance(title, str) and title.strip() else str(item_id)
