"""Popularity as of requests: contract, and the rule where the release's own events are all that is known."""

from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np

from unified_ranker.core.arrays import MISSING, Floats, Ints, Strings
from unified_ranker.prepare.counts_as_of import CountsAsOf
from unified_ranker.prepare.quality import TrendingByHour
from unified_ranker.prepare.quality_types.base import QualityFeature
from unified_ranker.prepare.quality_types.popularity_feature import scaled_popularity
from unified_ranker.release.counts import CountsDescription, StoredCounts

_OFTEN = 8
"""Items of the catalogue for each pair that is asked for, up to which counting for all items takes less time."""


class Popularity(Protocol):
    """Popularities of items, which the model takes with a request. Safe to use from several threads.

    Items have numbers: those of the release's catalogue, and behind them those that came later.
    """

    def trending(self, times: Ints) -> Ints:
        """Return the most popular items as of requests at `times` `[batch]` (seconds).

        Returns:
            Their numbers, the most popular first, `[batch, popularities, n]`; -1 behind them.
        """

    def of(self, numbers: Ints, times: Ints) -> Floats:
        """Return the popularities of items `[n]` (-1 = not counted) as of `times` `[n]` (seconds), `[n, features]`."""

    def numbers(self, item_ids: Strings) -> Ints:
        """Return the numbers of items `[n]`; -1 for one that nobody has touched and the release does not know."""

    def ids(self, numbers: Ints) -> Strings:
        """Return the ids of items by their numbers `[n]`."""


class StoredPopularity:
    """Popularities by the events of a release's log alone; see `Popularity`.

    A moment before the end of the fit window counts as that end: earlier ones cannot be counted.

    Args:
        directory: of the counted events; they are read at the first use.
        description: their entry in the manifest.
        features: the popularities by name, as declared.
        item_ids: of the release's catalogue.
    """

    def __init__(
        self,
        directory: Path,
        description: CountsDescription,
        features: dict[str, QualityFeature],
        item_ids: Strings,
    ) -> None:
        self._directory, self.description, self._features = directory, description, features
        self.item_ids = item_ids
        self._latest: tuple[int, Floats] | None = None

    @cached_property
    def counts(self) -> StoredCounts:
        """The counted events of the release."""
        return StoredCounts.read(self._directory, self.description, self._features)

    @cached_property
    def _as_of(self) -> list[CountsAsOf]:
        return [self.counts.as_of(number) for number in range(len(self._features))]

    @cached_property
    def _trending(self) -> TrendingByHour:
        return TrendingByHour(self._as_of, self.description.trending)

    def trending(self, times: Ints) -> Ints:
        """See `Popularity.trending`."""
        return self._trending(np.maximum(times, self.description.exact_from))

    def of(self, numbers: Ints, times: Ints) -> Floats:
        """See `Popularity.of`."""
        known = np.where(numbers < len(self.item_ids), numbers, MISSING)
        rows, times = np.maximum(known, 0), np.maximum(times, self.description.exact_from)
        if len(times) and times.min() == times.max() and _OFTEN * len(times) >= len(self.item_ids):
            counts = self._at(int(times[0]))[rows]
        else:
            counts = np.stack([counted.gather(rows, times) for counted in self._as_of], -1)
        return scaled_popularity(np.where(known[:, None] < 0, np.float32(0), counts), self.counts.scales)

    def _at(self, moment: int) -> Floats:
        """Return the counts of all items at a moment, `[items, popularities]`; those of the latest one are kept."""
        latest = self._latest
        if latest is None or latest[0] != moment:
            latest = moment, np.stack([counted.matrix(np.array([moment]))[0] for counted in self._as_of], -1)
            self._latest = latest
        return latest[1]

    def numbers(self, item_ids: Strings) -> Ints:
        """See `Popularity.numbers`; items that came since the release have no events in its log."""
        return np.full(len(item_ids), MISSING, np.int64)

    def ids(self, numbers: Ints) -> Strings:
        """See `Popularity.ids`."""
        return self.item_ids[numbers]
