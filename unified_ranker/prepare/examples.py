"""Point-in-time examples: every positive of the log with the user's history strictly before it.

Histories are not copied into each example. All events of all users lie in one flat table, sorted by user and
time (`Histories`). An example holds the number of its user's events strictly before it
(`history_length`): a prefix, so that later events cannot change an example.

Times are whole seconds: events within one second are simultaneous, and none is before another. Indices of items
and users are valid within one prepared log; ids identify rows across logs.
"""

from collections.abc import Callable
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from unified_ranker.config import Task
from unified_ranker.core.arrays import MISSING, Floats, Ints, Mask, Strings
from unified_ranker.core.positives import first_engagements, first_match, head_numbers
from unified_ranker.core.request import History
from unified_ranker.core.times import seconds
from unified_ranker.core.windows import Windows, last_events, whole_seconds
from unified_ranker.log.schema import InteractionLog


def runs(*columns: Ints) -> Ints:
    """Number the runs of rows that are equal in every column, from 0, `[rows]`: of users and times, the moments."""
    changed = [np.diff(column, prepend=column[:1]) != 0 for column in columns]
    return np.cumsum(np.logical_or.reduce(changed)).astype(np.int64)


class TimeIndex:
    """Search for the rows strictly before a moment, among rows sorted by (group, time).

    Args:
        offsets: where each group begins, and the end, `[groups + 1]`.
        time: seconds, ascending within each group, `[rows]`.
    """

    def __init__(self, offsets: Ints, time: Ints) -> None:
        self.offsets = offsets
        self._low = int(time.min()) if len(time) else 0
        # One moment after the latest, so that a search for "after everything" still ends in the group's own block.
        self._span = int(time.max()) - self._low + 2 if len(time) else 1
        # Each group has a block of keys of its own, so (group, time) is one sorted key and one binary search suffices.
        group = np.repeat(np.arange(len(offsets) - 1), np.diff(offsets))
        self._keys = group * self._span + (time - self._low)

    def end(self, group: Ints, time: Ints) -> Ints:
        """Return the row after the last row of `group[i]` strictly before `time[i]`, `[n]`.

        It is `offsets[group[i]]` where there is none.
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

    @property
    def user(self) -> Ints:
        """Index of the user of each event, `[events]`."""
        return np.repeat(np.arange(len(self.offsets) - 1), np.diff(self.offsets))

    def events(self, rows: Ints | slice, ids_of: Callable[[Ints], Strings]) -> History:
        """Return the events at rows; `ids_of` gives the ids of items by their indices."""
        return History(
            item_id=ids_of(self.item[rows]),
            event_type=self.event_type[rows],
            task=self.task[rows],
            timestamp=self.timestamp[rows],
            value=self.value[rows],
        )

    def only(self, rows: Mask) -> "Histories":
        """Return the histories with their events at `rows` `[events]` alone."""
        kept = np.flatnonzero(rows)
        columns = {field.name: getattr(self, field.name)[kept] for field in fields(self) if field.name != "offsets"}
        return Histories(np.searchsorted(kept, self.offsets).astype(np.int64), **columns)

    def lengths_before(self, user: Ints, timestamp: Ints) -> Ints:
        """Count events of `user[i]` strictly before `timestamp[i]` (seconds); 0 for anonymous users."""
        known = user != MISSING
        block = np.where(known, user, 0)
        end = TimeIndex(self.offsets, self.timestamp).end(block, timestamp)
        return np.where(known, end - self.offsets[block], 0)

    def gaps(self) -> Ints:
        """Return seconds since the previous event of the same user, `[events]`; 0 for a user's first."""
        out = np.diff(self.timestamp, prepend=self.timestamp[:1])
        starts = self.offsets[:-1]
        # The start of a user without events may lie after the last row.
        out[starts[starts < len(out)]] = 0
        return out

    def last_before(self, user: Ints, count: Ints) -> Ints:
        """Return the row of the last of the first `count[i]` events of `user[i]`, `MISSING` without one.

        It is one of the newest second, see `common`.
        """
        return np.where((user == MISSING) | (count == 0), MISSING, self.offsets[user] + count - 1)

    def common(self, column: Ints) -> Ints:
        """Return what all events of a user's second have in `column` (numbers, `[events]`); `MISSING` if they differ.

        It stands for that of the last event, because no event of the newest second is the last.
        """
        second = runs(self.user, self.timestamp)
        begins = np.flatnonzero(np.diff(second, prepend=-1))
        if not len(begins):
            return column
        low, high = np.minimum.reduceat(column, begins), np.maximum.reduceat(column, begins)
        return np.where(low == high, low, MISSING)[second]

    def windows(self, user: Ints, count: Ints, most: int, width: int = 0) -> Windows:
        """Return the last `most` of the first `count[i]` events of `user[i]`, in whole seconds; none if anonymous.

        See `whole_seconds`; `count[i]` divides no second.
        """
        known = user != MISSING
        count = np.where(known, count, 0)
        end = self.offsets[np.where(known, user, 0)] + count
        return last_events(end, whole_seconds(end, count, most, self.timestamp), width)


@dataclass(frozen=True)
class Examples:
    """One row for each positive, in order of time: columns `[examples]`; `timestamp` in seconds.

    `user`, `item`, `source_item` and `query_item` are indices, `MISSING` where there is none; `query` and
    `country` are "" where absent, `value` is NaN. `head` names the ranking head that the positive trains. `retrieved`
    marks the examples that retrieval learns and that requests are measured by: with `first_engagement_only`, all but a
    user's later positives of another head with the same item, which train their head alone.
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
    value: Floats
    retrieved: Mask

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self.item)

    def take(self, rows: npt.NDArray) -> "Examples":
        """Return the examples at `rows` (indices or a mask)."""
        return Examples(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


@dataclass(frozen=True)
class EventColumns:
    """Every event, including anonymous ones, in order of time, for the counts of items: `[events]`.

    `value` is NaN where the event has none; `positive` marks the events that are examples.
    """

    item: Ints
    event_type: Strings
    timestamp: Ints
    value: Floats
    positive: Mask


def order_of_items(items: pd.DataFrame) -> Ints:
    """Return the rows of an items table by creation time, then id; undated items come first.

    An item that is created later therefore never changes the index of an earlier one. An undated item counts as one
    that has always existed, here as among candidates: adding one changes the indices of the items after it.
    """
    return np.lexsort((items["item_id"].to_numpy(object), seconds(items["created_at"])))


@dataclass(frozen=True)
class Coded:
    """Events in order of time with names as numbers, columns `[events]`; `names` in order of the numbers.

    `user` is -1 where anonymous, `value` NaN where absent, `time` in seconds.
    """

    user: Ints
    item: Ints
    task: Ints
    event_type: Ints
    time: Ints
    value: Floats
    task_names: list[str]
    type_names: list[str]


class Marked(NamedTuple):
    """Positives of a log, `[positives]` each: their rows in order, and columns of `Examples`."""

    rows: Ints
    head: Strings
    weight: Floats
    retrieved: Mask


def mark_positives(events: Coded, tasks: dict[str, Task]) -> Marked:
    """Find the events that the tasks count as engagement.

    An event counts as the first of its task's `positives` that matches. With `first_engagement_only`, a user's later
    positives of the task with the same item and head do not count: all events of a user must be among `events`.
    """
    head = np.full(len(events.task), "", object)
    weight = np.zeros(len(events.task), np.float32)
    retrieved = np.ones(len(events.task), bool)
    types = {name: number for number, name in enumerate(events.type_names)}
    for name, task in tasks.items():
        if name not in events.task_names:
            continue
        of_task = events.task == events.task_names.index(name)
        entry = np.where(of_task, first_match(events.event_type, events.value, task.positives, types), MISSING)
        for number, positive in enumerate(task.positives):
            match = entry == number
            head[match], weight[match] = positive.head_name, positive.weight
        if task.first_engagement_only:
            at = np.flatnonzero(entry != MISSING)
            user, item, time = events.user[at], events.item[at], events.time[at]
            weight[at[~first_engagements(user, item, head_numbers(task.positives)[entry[at]], time)]] = 0.0
            retrieved[at] = first_engagements(user, item)
    at = np.flatnonzero(weight > 0)
    return Marked(at, head[at], weight[at], retrieved[at])


def match_positives(log: InteractionLog, tasks: dict[str, Task]) -> Marked:
    """Find the positives of a log, see `mark_positives`."""
    events = log.events
    coded = {name: pd.factorize(events[name]) for name in ("user_id", "item_id", "task", "event_type")}
    return mark_positives(
        Coded(
            user=coded["user_id"][0],
            item=coded["item_id"][0],
            task=coded["task"][0],
            event_type=coded["event_type"][0],
            time=seconds(events["timestamp"]),
            value=events["value"].to_numpy(np.float32, na_value=np.nan),
            task_names=[str(n) for n in coded["task"][1]],
            type_names=[str(n) for n in coded["event_type"][1]],
        ),
        tasks,
    )


def dated_positives(log: InteractionLog, tasks: dict[str, Task]) -> pd.DataFrame:
    """Return those positives of a log that have a time, as events with their `head`."""
    found = match_positives(log, tasks)
    chosen = log.events.iloc[found.rows].assign(head=found.head)
    return chosen[chosen["timestamp"].notna()]
