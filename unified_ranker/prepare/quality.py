"""Quality features of items as of any moment, counted exactly from the log.

Counts are of events strictly before the moment. `gather` takes single (item, time) pairs and uses a binary
search; `matrix` takes times, and counts for every item in one sweep through the log. Both give the same bytes.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from unified_ranker.config import MeanValueFeature, PopularityFeature, QualityFeature
from unified_ranker.core.arrays import MISSING, Floats, Ints, Mask
from unified_ranker.core.freshness import freshness
from unified_ranker.core.times import HOUR
from unified_ranker.prepare.examples import EventColumns, TimeIndex

TRENDING = 100
"""Number of most popular items that each popularity feature of the quality vector proposes."""
_SWEEPS_KEPT = 2
"""Sweeps that are kept: evaluation asks for counts as of requests, and as of the hours before them."""
_HOURS_KEPT = 4096
"""Hours of which the most popular items are kept."""


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
        self._stream, self._items, self._earlier = stream, items, before
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
        return _Sweep(self._stream, self._after, self._items), _Sweep(self._stream, self._after, self._items)

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


class QualityAsOf:
    """The declared quality features of every item, as of any time.

    The scales (the count of the most popular item, the mean of all values) are constants of the fitted model, like
    its weights: computed once, as of `reference`, and the same in training and serving.

    Args:
        features: the declared features by name, in order of the quality vector.
        events: every event of the log.
        created_at: creation time of each item in seconds, `[items]`; `NEVER` where absent.
        reference: the end of the fit window in seconds; the scales are computed from earlier events.
    """

    def __init__(
        self,
        features: dict[str, QualityFeature],
        events: EventColumns,
        created_at: Ints,
        reference: int,
    ) -> None:
        self.features, self.created_at = features, created_at
        streams = quality_streams(features, events)
        self._counts: dict[str, tuple[CountsAsOf, ...]] = {}
        self._scale: dict[str, float] = {}
        self._trending: dict[int, TrendingByHour] = {}
        items = len(created_at)
        for name, feature in features.items():
            if isinstance(feature, PopularityFeature):
                counts = CountsAsOf(streams[name], items, feature.window)
                self._counts[name] = (counts,)
                highest = counts.matrix(np.array([reference]))[0].max(initial=0.0)
                self._scale[name] = float(np.log1p(max(highest, 1.0)))
            elif isinstance(feature, MeanValueFeature):
                stream = streams[name]
                ones = Stream(stream.item, stream.time, np.ones_like(stream.amount))
                self._counts[name] = (CountsAsOf(stream, items), CountsAsOf(ones, items))
                before = stream.amount[stream.time < reference]
                self._scale[name] = float(before.mean(dtype=np.float64)) if len(before) else 0.0

    def gather(self, item: Ints, time: Ints, age: int = 0) -> Floats:
        """Return the features of pairs `item` `[n]`, `time` `[n]` (seconds), `[n, features]`.

        Counts within a window are `age` seconds old.
        """
        columns = []
        for name, feature in self.features.items():
            windowed = isinstance(feature, PopularityFeature) and feature.window is not None
            sums = [c.gather(item, time - age if windowed else time) for c in self._counts.get(name, ())]
            columns.append(self._feature(name, sums, item, time))
        return _stack(columns, (len(item),))

    def matrix(self, times: Ints) -> Floats:
        """Return the features of all items at `times` `[n]` (seconds), `[n, items, features]`."""
        return _stack([self._of_all(name, times) for name in self.features], (len(times), len(self.created_at)))

    def weighted_sum(self, times: Ints, weights: Floats) -> Floats:
        """Return the weighted sum of all items' features, `[n, items]`, with `weights` `[n, features]`.

        A feature whose weight is 0 in every row is not computed, because a task uses few of many features.
        """
        out = np.zeros((len(times), len(self.created_at)), np.float32)
        for name, weight in zip(self.features, weights.T, strict=True):
            if weight.any():
                out += weight[:, None] * self._of_all(name, times).astype(np.float32)
        return out

    def trending(self, times: Ints, most: int) -> Ints:
        """Return the items with most popularity, for each such feature, `[n, features, most]`; -1 behind them.

        As of the last full hour before each of `times` `[n]` (seconds).
        """
        if most not in self._trending:
            counted = [counts for name, (counts, *_) in self._counts.items() if name in self.scales]
            self._trending[most] = TrendingByHour(counted, most)
        return self._trending[most](times)

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each popularity, see `popularity`."""
        return {name: self._scale[name] for name, f in self.features.items() if isinstance(f, PopularityFeature)}

    def unseen(self) -> Floats:
        """Return the features of an item without events, `[features]`.

        Freshness is 0, as for an item of unknown age; a caller that knows the creation time fills it in.
        """
        return np.array(
            [self._scale[n] if isinstance(f, MeanValueFeature) else 0.0 for n, f in self.features.items()],
            np.float32,
        )

    def _of_all(self, name: str, times: Ints) -> np.ndarray:
        everything = np.arange(len(self.created_at))[None, :]
        return self._feature(name, [c.matrix(times) for c in self._counts.get(name, ())], everything, times[:, None])

    def _feature(self, name: str, sums: list[np.ndarray], item: Ints, time: Ints) -> np.ndarray:
        feature = self.features[name]
        if isinstance(feature, PopularityFeature):
            return popularity(sums[0], self._scale[name])
        if isinstance(feature, MeanValueFeature):
            total, count = sums
            return (total + feature.prior * self._scale[name]) / (count + feature.prior)
        return np.asarray(freshness(self.created_at[item], time, feature.scale))


def popularity(counts: Floats, scale: float | Floats) -> Floats:
    """Return the popularity of items with `counts`; `scale` is the log1p of the highest count of the fit window."""
    return np.asarray(np.log1p(counts) / scale)


def trending(counted: Sequence[CountsAsOf], times: Ints, most: int) -> Ints:
    """Return the items with the highest of each of `counted`, `[n, counted, most]`; -1 behind them.

    As of the last full hour before each of `times` `[n]` (seconds).
    """
    if not counted:
        return np.zeros((len(times), 0, most), np.int64)
    hours, place = np.unique(times // HOUR * HOUR, return_inverse=True)
    return most_popular(np.stack([counts.matrix(hours) for counts in counted], -1), most)[place]


class TrendingByHour:
    """Most popular items by hour, see `trending`.

    They are kept, because many requests share an hour, and every scorer asks for the same requests.
    """

    def __init__(self, counted: Sequence[CountsAsOf], most: int) -> None:
        """Keep the `most` popular items of each of `counted`."""
        self._counted, self._most = counted, most
        self._by_hour: dict[int, Ints] = {}

    def __call__(self, times: Ints) -> Ints:
        """Return the items as of the last full hour before each of `times` `[n]`, `[n, counted, most]`."""
        kept, hours = self._by_hour, (times // HOUR * HOUR).tolist()
        wanted = set(hours)
        if new := sorted(wanted - kept.keys()):
            found = trending(self._counted, np.array(new, np.int64), self._most)
            older = kept if len(kept) < _HOURS_KEPT else {hour: kept[hour] for hour in wanted & kept.keys()}
            # Replaced and never changed, because several threads may read it.
            self._by_hour = kept = {**older, **dict(zip(new, found, strict=True))}
        if not hours:
            return trending(self._counted, times, self._most)
        return np.stack([kept[hour] for hour in hours])


def most_popular(counts: Floats, most: int) -> Ints:
    """Return the items with the highest of `counts` `[n, items, lists]`, `[n, lists, most]`; -1 where all else is 0.

    Of equal counts the lower index comes first. A sort of all counts would take seconds at a million items.
    """
    found = np.full((len(counts), counts.shape[2], most), MISSING, np.int64)
    for row, of_lists in enumerate(counts):
        for number, own in enumerate(np.ascontiguousarray(of_lists.T)):
            least = np.partition(own, -most)[-most] if len(own) > most else 0.0
            above = np.flatnonzero((own >= least) & (own > 0))
            best = above[np.argsort(-own[above], kind="stable")][:most]
            found[row, number, : len(best)] = best
    return found


def counted_by(feature: PopularityFeature, events: EventColumns) -> Mask:
    """Mark the events that a popularity counts, `[events]`."""
    types = feature.event_types
    return events.positive if types is None else np.isin(events.event_type, types)


def quality_streams(features: dict[str, QualityFeature], events: EventColumns) -> dict[str, Stream]:
    """Return the events that each counting feature counts."""
    out = {}
    for name, feature in features.items():
        if isinstance(feature, PopularityFeature):
            keep = counted_by(feature, events)
            amount = np.ones(int(keep.sum()), np.float32)
        elif isinstance(feature, MeanValueFeature):
            keep = ~np.isnan(events.value)
            amount = events.value[keep]
        else:
            continue
        out[name] = Stream(events.item[keep], events.timestamp[keep], amount)
    return out


def _stack(columns: list[np.ndarray], shape: tuple[int, ...]) -> Floats:
    if not columns:
        return np.zeros((*shape, 0), np.float32)
    return np.stack(columns, axis=-1).astype(np.float32)
