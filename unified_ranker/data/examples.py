"""Point-in-time examples: every positive of the log with the user's history strictly before it.

Histories are not copied into each example. All events of all users lie in one flat table, sorted by user and
time (`Histories`), and an example holds how many of its user's events came strictly before it
(`history_length`): a prefix, so nothing that happens later can reach it (design section 4).

Time counts in whole seconds: what happens within one second is simultaneous, none of it "before" the rest.
Indices of items and users belong to one prepared log; what identifies a row across logs is its id.
"""

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.config import Task
from unified_ranker.schema import InteractionLog

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float32]
Strings = npt.NDArray[np.object_]
MISSING = -1
"""Index of an item or user that is absent, such as the source item of a home feed request."""


def seconds(times: object) -> Ints:
    """Return datetimes `[n]` as whole seconds since 1970 UTC, rounded down; the least int64 where absent."""
    stamps = np.asarray(times, dtype="datetime64[us]")
    out = stamps.astype("datetime64[s]").astype(np.int64)
    return np.where(np.isnat(stamps), np.iinfo(np.int64).min, out)


class TimeIndex:
    """Finds what comes strictly before a moment among rows sorted by (group, time).

    Args:
        offsets: where each group begins, and the end, `[groups + 1]`.
        time: seconds, ascending within each group, `[rows]`.
    """

    def __init__(self, offsets: Ints, time: Ints) -> None:
        self.offsets = offsets
        self._low = int(time.min()) if len(time) else 0
        # One moment beyond the latest, so that "after everything" still lies below the next group's block.
        self._span = int(time.max()) - self._low + 2 if len(time) else 1
        # Groups in ascending blocks make (group, time) one sorted key: one binary search serves all pairs.
        group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        self._keys = group * self._span + (time - self._low)

    def end(self, group: Ints, time: Ints) -> Ints:
        """Return the row behind the last one of `group[i]` strictly before `time[i]`, `[n]`.

        It is `offsets[group[i]]` where nothing comes before.
        """
        moment = np.clip(time - self._low, 0, self._span - 1)
        return np.searchsorted(self._keys, group * self._span + moment, side="left").astype(np.int64)


@dataclass(frozen=True)
class Histories:
    """Events of all known users, sorted by (user, time): columns `[events]` and `offsets` `[users + 1]`.

    `value` is 0 where the event has none.
    """

    offsets: Ints
    item: Ints
    event_type: Strings
    task: Strings
    timestamp: Ints
    value: Floats

    def lengths_before(self, user: Ints, timestamp: Ints) -> Ints:
        """Count events of `user[i]` strictly before `timestamp[i]` (seconds); 0 for anonymous users."""
        known = user != MISSING
        block = np.where(known, user, 0)
        end = TimeIndex(self.offsets, self.timestamp).end(block, timestamp)
        return np.where(known, end - self.offsets[block], 0)


@dataclass(frozen=True)
class Examples:
    """One row a positive, in order of time: columns `[examples]`; `timestamp` in seconds.

    `user`, `item`, `source_item` and `query_item` are indices, `MISSING` where there is none; `query` and
    `country` are "" where absent. `head` names the ranking head that the positive trains.
    """

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
    """Every event, anonymous ones too, in order of time: what items' counts are made from, `[events]`.

    `value` is NaN where the event has none; `positive` marks the events that are examples.
    """

    item: Ints
    event_type: Strings
    timestamp: Ints
    value: Floats
    positive: npt.NDArray[np.bool_]


def index_of(ids: Strings, wanted: object) -> Ints:
    """Return the positions of `wanted` `[n]` in the distinct `ids`, `MISSING` where null or unknown."""
    known = pa.array(ids, pa.large_string(), from_pandas=True)
    asked = pa.array(wanted, pa.large_string(), from_pandas=True)
    return pc.fill_null(pc.index_in(asked, value_set=known), MISSING).to_numpy().astype(np.int64)


def catalogue_order(log: InteractionLog) -> Ints:
    """Return the rows of the items table by creation time, then id; undated items come first.

    An item that is created later therefore never moves an earlier one. An undated item is taken to have
    always existed, here as among candidates: adding one changes the past, and moves the items behind it.
    """
    created = seconds(log.items["created_at"])
    return np.lexsort((log.items["item_id"].to_numpy(object), created))


def build_histories(log: InteractionLog, item_ids: Strings, user_ids: Strings) -> Histories:
    """Sort the events of known users by (user, time); ties keep the log's canonical order."""
    events = log.events
    user = index_of(user_ids, events["user_id"])
    known = user != MISSING
    stamp = seconds(events["timestamp"])
    order = np.flatnonzero(known)
    # The log is in order of time, and a stable sort keeps it so for each user.
    order = order[np.argsort(user[order], kind="stable")]
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
                match &= (events["value"] >= positive.min_value).to_numpy(bool)
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
    """Keep what counts of items need of every event; `positive_rows` are those of `match_positives`."""
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
    """Return which of the positives at rows `at` `[n]` count, given the tasks that count only the first."""
    limited = [name for name, task in tasks.items() if task.first_engagement_only]
    chosen = log.events[["task", "user_id", "item_id"]].iloc[at]
    # Nobody knows whether two anonymous events are one user's.
    repeated = chosen["task"].isin(limited) & chosen["user_id"].notna() & chosen.duplicated()
    return ~repeated.to_numpy(bool)


def _text(column: pd.Series) -> Strings:
    return column.fillna("").to_numpy(object)
