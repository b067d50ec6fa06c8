"""Queue of counted events in order of time: they come late, early or in time, and leave when they are old."""

import numpy as np

from unified_ranker.core.arrays import Ints, Mask

_LEAST = 1024


class EventQueue:
    """Events in order of time. Adding costs in proportion to the new events and to those later than the first of them.

    Args:
        item: number of the item of each event, `[events]`.
        time: seconds and ascending, `[events]`.
        counted: which popularities count the event, `[popularities, events]`.
    """

    def __init__(self, item: Ints, time: Ints, counted: Mask) -> None:
        self._begin, self._end = 0, len(time)
        self._item, self._time, self._counted = item.astype(np.int32), time.astype(np.int64), counted.copy()

    def __len__(self) -> int:
        """Return the number of events."""
        return self._end - self._begin

    def add(self, item: Ints, time: Ints, counted: Mask) -> None:
        """Insert events in any order."""
        self._make_room(len(time))
        at = self._begin + int(np.searchsorted(self._time[self._begin : self._end], time.min(), side="right"))
        old, new = slice(at, self._end), slice(at, self._end + len(time))
        times = np.concatenate([self._time[old], time])
        order = np.argsort(times, kind="stable")
        self._time[new] = times[order]
        self._item[new] = np.concatenate([self._item[old], item])[order]
        self._counted[:, new] = np.concatenate([self._counted[:, old], counted], 1)[:, order]
        self._end += len(time)

    def between(self, begin: int, end: int, popularity: int) -> Ints:
        """Return the items of the events from `begin` to before `end` (seconds) that a popularity counts."""
        time = self._time[self._begin : self._end]
        first, last = (self._begin + int(n) for n in np.searchsorted(time, [begin, end]))
        return self._item[first:last][self._counted[popularity, first:last]].astype(np.int64)

    def forget(self, moment: int) -> None:
        """Drop the events before a moment, in seconds."""
        self._begin += int(np.searchsorted(self._time[self._begin : self._end], moment))

    def _make_room(self, count: int) -> None:
        if self._end + count <= len(self._time):
            return
        # Twice as much as is needed, so that a copy is paid for by as many events as it copies.
        room = 2 * max(len(self) + count, _LEAST)
        kept = slice(self._begin, self._end)
        item, time = np.empty(room, np.int32), np.empty(room, np.int64)
        counted = np.empty((len(self._counted), room), bool)
        item[: len(self)], time[: len(self)], counted[:, : len(self)] = (
            self._item[kept], self._time[kept], self._counted[:, kept],
        )  # fmt: skip
        self._begin, self._end = 0, len(self)
        self._item, self._time, self._counted = item, time, counted
