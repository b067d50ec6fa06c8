"""Quality features of items as of any moment, counted exactly from the log.

Counts are strictly before the moment asked for (design section 4). `gather` answers single (item, time) pairs by
binary search; `matrix` answers every item at each time by sweeping once through the log.
"""

from dataclasses import dataclass

import numpy as np

from unified_ranker.config import Freshness, MeanValue, Popularity, QualityFeature
from unified_ranker.data.examples import EventColumns, Floats, Ints

DAY = 86_400
NEVER = np.iinfo(np.int64).min
MAX_EXPONENT = 60.0
"""Bound of |age / scale| in `freshness`, so that float32 neither overflows nor becomes subnormal."""


@dataclass(frozen=True)
class Stream:
    """Events of one kind: `item` `[n]`, `time` `[n]` in seconds, ascending by time, and what each adds, `[n]`."""

    item: Ints
    time: Ints
    amount: Floats


class CountsAsOf:
    """Sums of `amount` per item over events strictly before a time, optionally within a window of seconds."""

    def __init__(self, stream: Stream, items: int, window: float | None = None) -> None:
        self._stream, self._items = stream, items
        self._window = None if window is None else int(window)
        order = np.lexsort((stream.time, stream.item))
        self._time = stream.time[order]
        self._starts = np.searchsorted(stream.item[order], np.arange(items + 1))
        self._sums = np.concatenate([[0.0], np.cumsum(stream.amount[order], dtype=np.float64)])
        # Items in ascending blocks make (item, time) one sorted key, so that one binary search serves all pairs.
        self._low = int(stream.time.min()) if len(stream.time) else 0
        self._span = (int(stream.time.max()) - self._low + 2) if len(stream.time) else 1
        self._keys = stream.item[order] * self._span + (self._time - self._low)

    def gather(self, item: Ints, time: Ints) -> np.ndarray:
        """Return the sums for pairs `item` `[n]`, `time` `[n]` (seconds)."""
        out = self._before(item, time)
        if self._window is not None:
            out = out - self._before(item, time - self._window)
        return out

    def matrix(self, times: Ints) -> np.ndarray:
        """Return the sums for all items at `times` `[n]` (seconds), `[n, items]`."""
        out = np.empty((len(times), self._items), np.float32)
        running = np.zeros(self._items)
        upper = lower = 0
        for row in np.argsort(times, kind="stable"):
            end = int(np.searchsorted(self._stream.time, times[row], side="left"))
            running += self._between(upper, end)
            upper = end
            if self._window is not None:
                start = int(np.searchsorted(self._stream.time, times[row] - self._window, side="left"))
                running -= self._between(lower, start)
                lower = start
            out[row] = running
        return out

    def _between(self, start: int, end: int) -> np.ndarray:
        return np.bincount(
            self._stream.item[start:end], weights=self._stream.amount[start:end], minlength=self._items
        )

    def _before(self, item: Ints, time: Ints) -> np.ndarray:
        moment = np.clip(time - self._low, 0, self._span - 1)
        position = np.searchsorted(self._keys, item * self._span + moment, side="left")
        return self._sums[position] - self._sums[self._starts[item]]


class QualityAsOf:
    """The declared quality features of every item, as of any time."""

    def __init__(
        self,
        features: dict[str, QualityFeature],
        events: EventColumns,
        created_at: Ints,
        reference: int,
    ) -> None:
        """Index the events; what happened before `reference` (seconds) fixes the scales of counts and means."""
        self.features, self.created_at = features, created_at
        streams = quality_streams(features, events)
        self._counts: dict[str, tuple[CountsAsOf, ...]] = {}
        self._scale: dict[str, float] = {}
        items = len(created_at)
        for name, feature in features.items():
            if isinstance(feature, Popularity):
                window = None if feature.window_days is None else feature.window_days * DAY
                counts = CountsAsOf(streams[name], items, window)
                self._counts[name] = (counts,)
                highest = counts.matrix(np.array([reference]))[0].max(initial=0.0)
                self._scale[name] = float(np.log1p(max(highest, 1.0)))
            elif isinstance(feature, MeanValue):
                stream = streams[name]
                ones = Stream(stream.item, stream.time, np.ones_like(stream.amount))
                self._counts[name] = (CountsAsOf(stream, items), CountsAsOf(ones, items))
                before = stream.amount[stream.time < reference]
                self._scale[name] = float(before.mean()) if len(before) else 0.0

    def gather(self, item: Ints, time: Ints) -> Floats:
        """Return the features of pairs `item` `[n]`, `time` `[n]` (seconds), `[n, features]`."""
        columns = [
            self._feature(name, [c.gather(item, time) for c in self._counts.get(name, ())], item, time)
            for name in self.features
        ]
        return _stack(columns, len(item))

    def matrix(self, times: Ints) -> Floats:
        """Return the features of all items at `times` `[n]` (seconds), `[n, items, features]`."""
        everything = np.arange(len(self.created_at))[None, :]
        columns = [
            self._feature(
                name, [c.matrix(times) for c in self._counts.get(name, ())], everything, times[:, None]
            )
            for name in self.features
        ]
        if not columns:
            return np.zeros((len(times), len(self.created_at), 0), np.float32)
        return np.stack(columns, axis=-1).astype(np.float32)

    def unseen(self) -> Floats:
        """Return the features of an item that nobody has touched, `[features]`; freshness is filled in later."""
        return np.array(
            [self._scale[n] if isinstance(f, MeanValue) else 0.0 for n, f in self.features.items()],
            np.float32,
        )

    def _feature(self, name: str, sums: list[np.ndarray], item: Ints, time: Ints) -> np.ndarray:
        feature = self.features[name]
        if isinstance(feature, Popularity):
            return np.log1p(np.maximum(sums[0], 0)) / self._scale[name]
        if isinstance(feature, MeanValue):
            total, count = sums
            return (total + feature.prior * self._scale[name]) / (count + feature.prior)
        return freshness(self.created_at[item], time, feature)


def freshness(created_at: Ints, time: Ints, feature: Freshness) -> np.ndarray:
    """Return exp(-age / scale), above 1 for items created after `time`; 0 where `created_at` is absent."""
    age = (time - np.where(created_at == NEVER, 0, created_at)) / (feature.scale_days * DAY)
    return np.where(created_at == NEVER, 0.0, np.exp(-np.clip(age, -MAX_EXPONENT, MAX_EXPONENT)))


def quality_streams(features: dict[str, QualityFeature], events: EventColumns) -> dict[str, Stream]:
    """Pick the events that each counting feature is about."""
    out = {}
    for name, feature in features.items():
        if isinstance(feature, Popularity):
            types = feature.event_types
            keep = events.positive if types is None else np.isin(events.event_type, types)
            amount = np.ones(int(keep.sum()), np.float32)
        elif isinstance(feature, MeanValue):
            keep = ~np.isnan(events.value)
            amount = events.value[keep]
        else:
            continue
        out[name] = Stream(events.item[keep], events.timestamp[keep], amount)
    return out


def _stack(columns: list[np.ndarray], rows: int) -> Floats:
    if not columns:
        return np.zeros((rows, 0), np.float32)
    return np.stack(columns, axis=-1).astype(np.float32)
