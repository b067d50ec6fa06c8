"""Sums over the events of items as of any moment, exact from the log.

Events strictly before the moment count. `gather` takes single (item, time) pairs and uses a binary search; `matrix`
takes times, and sums for every item in one sweep through the log. Both give the same bytes.
"""

import threading
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.prepare.examples import TimeIndex

_SWEEPS_KEPT = 2
"""Sweeps that are kept: evaluation asks for counts as of requests, and as of the hours before them."""


@dataclass(frozen=True)
class Stream:
    """Events of one kind, `[n]`: `item`, `time` in seconds and ascending, and the `amount` that each adds."""

    item: Ints
    time: Ints
    amount: Floats


class CountsAsOf:
    """Sums of `amount` per item over events strictly before a time.

    Args:
        stream: the events.
        items: the number of items in the catalogue.
        window: count only events in that many seconds before the time, without a fraction, because times have none;
            None counts all.
        before: sums of events before those of `stream`, `[items]`, for counts without a window; None: there are none.
    """

    def __init__(self, stream: Stream, items: int, window: float | None = None, before: Ints | None = None) -> None:
        self.stream, self._items, self._earlier = stream, items, before
        self._window = None if window is None else int(window)
        # Running sums of each item. They are summed item by item, so that not even their rounding depends on other
        # items or on later events.
        amount = pd.Series(stream.amount.astype(np.float64))
        self._after = amount.groupby(stream.item).cumsum().to_numpy(np.float64)
        order = np.argsort(stream.item, kind="stable")
        offsets = np.searchsorted(stream.item[order], np.arange(items + 1)).astype(np.int64)
        self._index = TimeIndex(offsets, stream.time[order])
        self._sums = np.append(self._after[order], 0.0)
        # Where earlier calls of `matrix` have ended: requests in order of time need not begin again.
        self._ended: list[tuple[_Sweep, _Sweep]] = []
        self._lock = threading.Lock()

    def gather(self, item: Ints, time: Ints) -> Floats:
        """Return the sums for pairs `item` `[n]`, `time` `[n]` (seconds), `[n]`."""
        out = self._before(item, time)
        if self._window is not None:
            out = out - self._before(item, time - self._window)
        if self._earlier is not None:
            out = out + self._earlier[item]
        return out.astype(np.float32)

    def matrix(self, times: Ints) -> Floats:
        """Return the sums for all items at `times` `[n]` (seconds), `[n, items]`."""
        out = np.empty((len(times), self._items), np.float32)
        order = np.argsort(times, kind="stable")
        upper, lower = self._sweeps(int(times.min(initial=np.iinfo(np.int64).max)))
        for row in order:
            sums = upper.until(times[row])
            if self._window is not None:
                sums = sums - lower.until(times[row] - self._window)
            out[row] = sums if self._earlier is None else sums + self._earlier
        with self._lock:
            self._ended = [(upper, lower), *self._ended][:_SWEEPS_KEPT]
        return out

    def _sweeps(self, first: int) -> "tuple[_Sweep, _Sweep]":
        """Return sweeps to a time and to the begin of its window, where they stand at most at `first` (seconds)."""
        with self._lock:
            behind = [pair for pair in self._ended if pair[0].time <= first]
            if behind:
                latest = max(behind, key=lambda pair: pair[0].time)
                self._ended.remove(latest)
                return latest
        return _Sweep(self.stream, self._after, self._items), _Sweep(self.stream, self._after, self._items)

    def _before(self, item: Ints, time: Ints) -> np.ndarray:
        end = self._index.end(item, time)
        return np.where(end > self._index.offsets[item], self._sums[end - 1], 0.0)


class _Sweep:
    """Every item's sum of amounts strictly before a time that only moves forward."""

    def __init__(self, stream: Stream, after: np.ndarray, items: int) -> None:
        self._stream, self._after = stream, after
        self._sums, self._end, self.time = np.zeros(items), 0, np.iinfo(np.int64).min

    def until(self, time: np.int64) -> np.ndarray:
        """Move to `time` (seconds) and return the sums `[items]`; the next call overwrites the array."""
        self.time = int(time)
        end = int(np.searchsorted(self._stream.time, time, side="left"))
        new = slice(self._end, end)
        # Where an item has several events, the sum of the last one stays, because NumPy assigns in order.
        self._sums[self._stream.item[new]] = self._after[new]
        self._end = end
        return self._sums
