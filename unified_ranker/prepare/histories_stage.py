"""Stage `histories`: each user's events in order, and the positives among them."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.prepare.examples import Coded, TimeIndex, mark_positives
from unified_ranker.prepare.shuffle_stage import names_of, partition
from unified_ranker.prepare.stage_names import SECOND, SHUFFLE_STAGE, TABLES_STAGE, USERS_STAGE, Rules

SELECTED_COLUMNS = [
    "user", "item", "source_item", "query_item", "task", "event_type", "time", "value", "query", "country", "position",
]  # fmt: skip
NOBODY = np.iinfo(np.int64).max
"""Index that stands for anonymous users where users are sorted, so that they are last."""


@dataclass(frozen=True)
class BuildHistories:
    """Makes `histories` of a range of users, `events` (a partition for each range of time) and `counts`."""

    rules: Rules
    ranges: int

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Sort the events, drop repeated ones, and mark positives."""
        events = reader.gather(SHUFFLE_STAGE, "events", shard).combine_chunks()
        rank = reader.read(TABLES_STAGE, 0, "keys")["rank"].to_numpy()
        order, again = canonical_order(events, rank)
        if self.rules.drop_duplicates:
            order = order[~again]
        events = events.take(pa.array(order))
        tasks, types = names_of(reader)
        columns = {n: events[n].to_numpy() for n in ("user", "item", "task", "event_type", "time")}
        user, stamp = columns["user"].astype(np.int64), np.floor_divide(columns["time"], SECOND)
        value = pc.fill_null(events["value"], np.nan).to_numpy()
        coded = Coded(user, columns["item"], columns["task"], columns["event_type"], stamp, value, tasks, types)
        found = mark_positives(coded, self.rules.config.tasks)
        in_history = self._in_history(columns["event_type"], types) & (user != MISSING)
        heads = {name: number for number, name in enumerate(self.rules.config.heads)}
        head_number = np.full(len(user), -1, np.int16)
        head_number[found.rows] = [heads[name] for name in found.head]
        weights, retrieved = np.zeros(len(user), np.float32), np.zeros(len(user), bool)
        weights[found.rows], retrieved[found.rows] = found.weight, found.retrieved
        marked = (
            events.select(SELECTED_COLUMNS)
            .append_column("head", pa.array(head_number))
            .append_column("weight", pa.array(weights))
            .append_column("retrieved", pa.array(retrieved))
            .append_column("history_length", pa.array(lengths_before(user, stamp, in_history), pa.int64()))
        )
        first = reader.read(USERS_STAGE, 0, "ranges")["first_time"].to_numpy()
        part = np.searchsorted(first, columns["time"], side="right") - 1
        # In the order of the catalogue within a second, as in the served graph: see `core.windows.whole_seconds`.
        keys = (np.nan_to_num(value), columns["event_type"], columns["task"], columns["item"], stamp, user)
        rows = np.flatnonzero(in_history)
        rows = rows[np.lexsort([key[rows] for key in keys])]
        kept = events.select(["user", "item", "event_type", "task", "time", "value"]).take(pa.array(rows))
        counts = {"repeated": [int(again.sum())], "events": [len(events)], "positives": [len(found.rows)]}
        return {"histories": [kept], "events": partition(marked, part, self.ranges), "counts": [pa.table(counts)]}

    def _in_history(self, event_type: Any, types: list[str]) -> npt.NDArray[np.bool_]:
        declared = self.rules.config.towers.user.history_events
        if declared is None:
            return np.ones(len(event_type), bool)
        return np.isin(event_type, [number for number, name in enumerate(types) if name in declared])


def lengths_before(user: Ints, stamp: Ints, in_history: npt.NDArray[np.bool_]) -> Ints:
    """Count the events in the history of each row's user strictly before its second, `[rows]`; rows by (user, time)."""
    known = user != MISSING
    if not known.any():
        return np.zeros(len(user), np.int64)
    _, group = np.unique(np.where(known, user, NOBODY), return_inverse=True)
    groups = int(group.max()) + 1
    kept = np.flatnonzero(in_history)
    offsets = np.searchsorted(group[kept], np.arange(groups + 1)).astype(np.int64)
    end = TimeIndex(offsets, stamp[kept]).end(group, stamp)
    return np.where(known, end - offsets[group], 0)


def canonical_order(events: pa.Table, rank: npt.NDArray[np.int32]) -> tuple[Ints, npt.NDArray[np.bool_]]:
    """Return the rows by (user, time, every other column), and a mask of the sorted rows that equal the row before.

    The order is that of `schema.InteractionLog` within each user: only identical rows tie. Few rows share user and
    time, so the many columns are compared for those alone.
    """
    user, time = events["user"].to_numpy().astype(np.int64), events["time"].to_numpy()
    user = np.where(user == MISSING, NOBODY, user)
    order = np.lexsort((time, user))
    same = np.zeros(len(order), bool)
    same[1:] = (user[order][1:] == user[order][:-1]) & (time[order][1:] == time[order][:-1])
    again = np.zeros(len(order), bool)
    tied = same.copy()
    tied[:-1] |= same[1:]
    slots = np.flatnonzero(tied)
    if not len(slots):
        return order, again
    rows = order[slots]
    part = events.take(pa.array(rows))
    keys = {"group": pa.array(np.cumsum(~same)[slots])}
    by_rank = np.append(rank.astype(np.int64), -1)
    for name in ("item", "task", "event_type", "query", "source_item", "query_item", "country", "value",
                 "request_id", "position", "event_id", "derived"):  # fmt: skip
        column = part[name]
        if name in ("item", "source_item", "query_item"):
            found = by_rank[column.to_numpy()]
            column = pa.array(found, mask=found < 0)
        keys[name] = column
    table = pa.table(keys)
    inner = pc.sort_indices(table, sort_keys=[(name, "ascending") for name in keys]).to_numpy()
    order[slots] = rows[inner]
    again[slots] = table.take(pa.array(inner)).to_pandas().duplicated().to_numpy(bool)
    return order, again
