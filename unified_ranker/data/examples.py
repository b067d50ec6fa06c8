"""Point-in-time examples: every positive of the log with the user's history strictly before it.

Histories are not copied into each example. All events of all users lie in one flat table, sorted by user and time
(`Histories`), and an example holds how many of its user's events came strictly before it (`history_length`): a
prefix, so nothing that happens later can reach it (design section 4).
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt

from unified_ranker.config import Task
from unified_ranker.schema import InteractionLog

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Strings = npt.NDArray[np.object_]
MISSING = -1
"""Index of an item or user that is absent, such as the source item of a home feed request."""


def seconds(times: object) -> Ints:
    """Return datetimes `[n]` as whole seconds since 1970 UTC; absent times become the least int64."""
    stamps = np.asarray(times, dtype="datetime64[us]")
    out = stamps.astype("datetime64[s]").astype(np.int64)
    return np.where(np.isnat(stamps), np.iinfo(np.int64).min, out)


@dataclass(frozen=True)
class Histories:
    """Events of all known users, sorted by (user, time), as flat columns `[events]` and `offsets` `[users + 1]`."""

    offsets: Ints
    item: Ints
    event_type: Strings
    task: Strings
    timestamp: Ints
    value: Floats

    def of(self, user: int, length: int, before: int) -> slice:
        """Return the slice of the last `length` events among the first `before` events of `user`."""
        if user == MISSING:
            return slice(0, 0)
        end = int(self.offsets[user]) + before
        return slice(max(int(self.offsets[user]), end - length), end)

    def lengths_before(self, user: Ints, timestamp: Ints) -> Ints:
        """Count events of `user[i]` strictly before `timestamp[i]` (seconds); 0 for anonymous users."""
        out = np.zeros(len(user), np.int64)
        for i, (u, t) in enumerate(zip(user.tolist(), timestamp.tolist(), strict=True)):
            if u != MISSING:
                span = self.timestamp[self.offsets[u] : self.offsets[u + 1]]
                out[i] = np.searchsorted(span, t, side="left")
        return out


@dataclass(frozen=True)
class Examples:
    """One row a positive, sorted by time: columns `[examples]`, items and users as indices into the catalogue."""

    user: Ints
    task: Strings
    item: Ints
    source_item: Ints
    query_item: Ints
    query: Strings
    country: Strings
    timestamp: Ints
    head: Strings
    weight: Floats
    history_length: Ints

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.item)

    def take(self, rows: npt.NDArray) -> "Examples":
        """Return the examples at `rows` (indices or a mask)."""
        return Examples(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class EventColumns:
    """Every event of the log, anonymous ones too, by time: what counts of items are made from. Columns `[events]`."""

    item: Ints
    event_type: Strings
    timestamp: Ints
    value: Floats
    positive: npt.NDArray[np.bool_]


def index_of(ids: Strings, wanted: object) -> Ints:
    """Return the positions of `wanted` in `ids`, `MISSING` where null or unknown."""
    import pandas as pd

    return pd.Index(ids).get_indexer(pd.Index(np.asarray(wanted, dtype=object))).astype(np.int64)


def catalogue_order(log: InteractionLog) -> npt.NDArray[np.int64]:
    """Order items by creation time, then id, so that a later item never moves an earlier one; undated come first."""
    created = seconds(log.items["created_at"])
    return np.lexsort((log.items["item_id"].to_numpy(object), created))


def build_histories(log: InteractionLog, item_ids: Strings, user_ids: Strings) -> Histories:
    """Sort the events of known users by (user, time); ties keep the log's canonical order."""
    events = log.events
    user = index_of(user_ids, events["user_id"])
    known = user != MISSING
    stamp = seconds(events["timestamp"])
    order = np.flatnonzero(known)
    order = order[np.lexsort((stamp[order], user[order]))]
    counts = np.bincount(user[order], minlength=len(user_ids))
    return Histories(
        offsets=np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
        item=index_of(item_ids, events["item_id"])[order],
        event_type=events["event_type"].to_numpy(object)[order],
        task=events["task"].to_numpy(object)[order],
        timestamp=stamp[order],
        value=events["value"].fillna(0.0).to_numpy(np.float32)[order],
    )


def match_positives(log: InteractionLog, tasks: dict[str, Task]) -> tuple[Ints, Strings, Floats]:
    """Find the events that the tasks count as engagement: their rows in time order, heads and weights.

    An event that matches several `positives` of its task counts once, as the first that matches. With
    `first_engagement_only`, a user's later positives of the task with the same item do not count.
    """
    events = log.events
    rows, heads, weights = [], [], []
    for name, task in tasks.items():
        free = (events["task"] == name).to_numpy(bool)
        for positive in task.positives:
            match = free & (events["event_type"] == positive.event_type).to_numpy(bool)
            if positive.min_value is not None:
                match &= (events["value"] >= positive.min_value).fillna(False).to_numpy(bool)
            free = free & ~match
            at = np.flatnonzero(match)
            rows.append(at)
            heads.append(np.full(len(at), positive.head_name, object))
            weights.append(np.full(len(at), positive.weight, np.float32))
    at, head, weight = np.concatenate(rows), np.concatenate(heads), np.concatenate(weights)
    order = np.argsort(at, kind="stable")
    at, head, weight = at[order], head[order], weight[order]
    first = _first_engagements(log, tasks, at)
    return at[first], head[first], weight[first]


def build_events(log: InteractionLog, item_ids: Strings, positive_rows: Ints) -> EventColumns:
    """Keep what counts of items need of every event, in time order."""
    positive = np.zeros(len(log.events), bool)
    positive[positive_rows] = True
    return EventColumns(
        item=index_of(item_ids, log.events["item_id"]),
        event_type=log.events["event_type"].to_numpy(object),
        timestamp=seconds(log.events["timestamp"]),
        value=log.events["value"].to_numpy(np.float32, na_value=np.nan),
        positive=positive,
    )


def build_examples(
    log: InteractionLog,
    positives: tuple[Ints, Strings, Floats],
    item_ids: Strings,
    user_ids: Strings,
    histories: Histories,
) -> Examples:
    """Turn every positive (of `match_positives`) into an example, sorted by time."""
    at, head, weight = positives
    chosen = log.events.iloc[at]
    user = index_of(user_ids, chosen["user_id"])
    stamp = seconds(chosen["timestamp"])
    return Examples(
        user=user,
        task=chosen["task"].to_numpy(object),
        item=index_of(item_ids, chosen["item_id"]),
        source_item=index_of(item_ids, chosen["source_item_id"]),
        query_item=index_of(item_ids, chosen["query_item_id"]),
        query=_text(chosen["query"]),
        country=_text(chosen["country"]),
        timestamp=stamp,
        head=head,
        weight=weight,
        history_length=histories.lengths_before(user, stamp),
    )


def _first_engagements(log: InteractionLog, tasks: dict[str, Task], at: Ints) -> npt.NDArray[np.bool_]:
    chosen = log.events.iloc[at][["user_id", "item_id", "task"]]
    only_first = chosen["task"].map({name: task.first_engagement_only for name, task in tasks.items()})
    repeated = chosen.duplicated() & chosen["user_id"].notna()
    return ~(repeated & only_first.astype(bool)).to_numpy(bool)


def _text(column: object) -> Strings:
    return column.fillna("").to_numpy(object)  # type: ignore[attr-defined]
