"""Quality features of items as of any moment, counted exactly from the log; see `CountsAsOf`."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.core.times import HOUR
from unified_ranker.prepare.counts_as_of import CountsAsOf
from unified_ranker.prepare.examples import EventColumns
from unified_ranker.prepare.quality_types.base import QualityFeature

TRENDING = 100
"""Number of most popular items that each popularity feature of the quality vector proposes."""
_HOURS_KEPT = 4096
"""Hours of which the most popular items are kept."""


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
        self._counts: dict[str, tuple[CountsAsOf, ...]] = {}
        self._constant: dict[str, float] = {}
        self._trending: dict[int, TrendingByHour] = {}
        for name, feature in features.items():
            streams = feature.streams(events)
            self._counts[name] = tuple(CountsAsOf(stream, len(created_at), feature.window) for stream in streams)
            self._constant[name] = feature.constant(self._counts[name], reference)

    def gather(self, item: Ints, time: Ints, age: int = 0) -> Floats:
        """Return the features of pairs `item` `[n]`, `time` `[n]` (seconds), `[n, features]`.

        Counts within a window are `age` seconds old.
        """
        columns, created_at = [], self.created_at[item]
        for name, feature in self.features.items():
            until = time if feature.window is None else time - age
            sums = [counts.gather(item, until) for counts in self._counts[name]]
            columns.append(feature.value(sums, self._constant[name], created_at, time))
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
            self._trending[most] = TrendingByHour([self._counts[name][0] for name in self.scales], most)
        return self._trending[most](times)

    @property
    def scales(self) -> dict[str, float]:
        """The scale of each popularity, see `popularity`."""
        return {name: self._constant[name] for name, feature in self.features.items() if feature.counted_live}

    def unseen(self) -> Floats:
        """Return the features of an item without events, `[features]`.

        Freshness is 0, as for an item of unknown age; a caller that knows the creation time fills it in.
        """
        return np.array([f.unseen(self._constant[name]) for name, f in self.features.items()], np.float32)

    def _of_all(self, name: str, times: Ints) -> np.ndarray:
        sums = [counts.matrix(times) for counts in self._counts[name]]
        return self.features[name].value(sums, self._constant[name], self.created_at[None, :], times[:, None])


def trending(counted: Sequence[CountsAsOf], times: Ints, most: int) -> Ints:
    """Return the items with the highest of each of `counted`, `[n, counted, most]`; -1 behind them.

    As of the last full hour before each of `times` `[n]` (seconds).
    """
    if not counted:
        return np.zeros((len(times), 0, most), np.int64)
    hours, inverse = np.unique(times // HOUR * HOUR, return_inverse=True)
    return most_popular(np.stack([counts.matrix(hours) for counts in counted], -1), most)[inverse]


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


def _stack(columns: list[np.ndarray], shape: tuple[int, ...]) -> Floats:
    if not columns:
        return np.zeros((*shape, 0), np.float32)
    return np.stack(columns, axis=-1).astype(np.float32)
