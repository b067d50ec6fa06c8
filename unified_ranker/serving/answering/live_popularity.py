"""Live popularity: counts of a release's log that slide with the time, and take the events that came since."""

import threading
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import MISSING, Floats, Ints, Mask, Strings
from unified_ranker.core.times import HOUR
from unified_ranker.prepare.quality import most_popular
from unified_ranker.prepare.quality_types.popularity_feature import scaled_popularity
from unified_ranker.serving.answering.event_queue import EventQueue
from unified_ranker.serving.answering.stored_popularity import StoredPopularity

MOST_NEW = 100_000
"""Most items that are counted beside the release's: anybody may report events of any id."""


class LivePopularity:
    """Popularities as of the present second, counted from the release's log and from live events; see `Popularity`.

    One thread adds events and moves the time; any number may read. The most popular items are those as of the last
    full hour, as in evaluation. A request of a time within the release's log gets what the log says of that time.

    Args:
        stored: the release's own counts.
        row_of: numbers of the release's items by id.
        now: the present second, seconds since 1970.
        most_new: items that are counted beside the release's.
    """

    def __init__(self, stored: StoredPopularity, row_of: Mapping[str, int], now: int, most_new: int = MOST_NEW) -> None:
        self.stored, self._row_of = stored, row_of
        counts, description = stored.counts, stored.description
        self._windows = [feature.window for feature in counts.features.values()]
        self._longest = max((window or 0 for window in self._windows), default=0)
        self._queue = EventQueue(counts.item, counts.time, counts.counted)
        # Counted from the first stored event on: a window that reaches further back is whole at `exact_from`.
        self._moment = description.exact_from - self._longest
        self._counts = counts.before.astype(np.int32)
        self._new: dict[str, int] = {}
        self._most_new = most_new
        self._new_ids: list[str] = []
        self._stale = True
        self._moving = threading.Lock()
        self._top = np.full((len(self._windows), description.trending), MISSING, np.int64)
        self._hour = 0
        self.advance(max(now, description.exact_from))

    @property
    def moment(self) -> int:
        """The second as of which counts are."""
        return self._moment

    def add(self, item_ids: Strings, times: Ints, counted: Mask) -> int:
        """Take live events; those within the release's log are counted already, and future ones wait for their time.

        Args:
            item_ids: of each event, `[events]`.
            times: seconds, `[events]`.
            counted: which popularities count it, `[popularities, events]`.

        Returns:
            How many of the events are new and count.
        """
        late = (times > self.stored.description.end) & counted.any(0)
        # Too old to count in any window, or for the most popular of the hour.
        late &= (times >= self._moment - self._longest - HOUR) | self._endless(counted)
        if not late.any():
            return 0
        with self._moving:
            items, times, counted = self._numbered(item_ids[late]), times[late], counted[:, late]
            known = items != MISSING
            if not known.any():
                return 0
            items, times, counted = items[known], times[known], counted[:, known]
            for row, window in enumerate(self._windows):
                since = times.min() if window is None else self._moment - window
                own = counted[row] & (times < self._moment) & (times >= since)
                np.add.at(self._counts[row], items[own], 1)
            self._queue.add(items, times, counted)
            self._stale |= bool((times < self._hour).any())
        return len(items)

    def advance(self, now: int) -> None:
        """Move the time on to the present second; it does not move back."""
        if now > self._moment:
            with self._moving:
                self._shift(self._counts, self._moment, now)
                self._moment = now
        hour = self._moment // HOUR * HOUR
        if self._stale or hour != self._hour:
            with self._moving:
                self._stale, self._hour, then = False, hour, self._counts.copy()
                self._shift(then, self._moment, hour)
            self._top = most_popular(then.T[None].astype(np.float32), self.stored.description.trending)[0]
            self._queue.forget(hour - self._longest)

    def trending(self, times: Ints) -> Ints:
        """See `Popularity.trending`."""
        of_log = times <= self.stored.description.end
        out = np.repeat(self._top[None], len(times), 0)
        if of_log.any():
            out[of_log] = self.stored.trending(times[of_log])
        return out

    def of(self, numbers: Ints, times: Ints) -> Floats:
        """See `Popularity.of`."""
        counts = np.where(numbers < 0, 0, self._counts[:, np.maximum(numbers, 0)])
        out = scaled_popularity(counts.T.astype(np.float32), self.stored.counts.scales)
        of_log = times <= self.stored.description.end
        if of_log.any():
            out[of_log] = self.stored.of(numbers[of_log], times[of_log])
        return out

    def numbers(self, item_ids: Strings) -> Ints:
        """See `Popularity.numbers`."""
        return np.array([self._row_of.get(i, self._new.get(i, MISSING)) for i in item_ids], np.int64)

    def ids(self, numbers: Ints) -> Strings:
        """See `Popularity.ids`."""
        items = len(self.stored.item_ids)
        own = self.stored.item_ids[np.where(numbers < items, numbers, 0)]
        for slot in np.flatnonzero(numbers >= items):
            own[slot] = self._new_ids[numbers[slot] - items]
        return own

    def _endless(self, counted: Mask) -> Mask:
        without = np.array([window is None for window in self._windows])
        return counted[without].any(0)

    def _numbered(self, item_ids: Strings) -> Ints:
        """Return the numbers of items, new ones for those that had none; -1 past `most_new`."""
        numbers = self.numbers(item_ids)
        for row in np.flatnonzero(numbers == MISSING):
            item_id = str(item_ids[row])
            if item_id not in self._new and len(self._new) < self._most_new:
                self._new_ids.append(item_id)
                self._make_room(len(self.stored.item_ids) + len(self._new_ids))
                # Last, because readers look an item up here.
                self._new[item_id] = len(self.stored.item_ids) + len(self._new)
            numbers[row] = self._new.get(item_id, MISSING)
        return numbers

    def _make_room(self, count: int) -> None:
        room = self._counts.shape[1]
        if count > room:
            more = max(count - room, len(self._new_ids), 64)
            self._counts = np.pad(self._counts, [(0, 0), (0, more)])

    def _shift(self, counts: npt.NDArray[np.int32], begin: int, end: int) -> None:
        """Turn counts as of one moment into those as of another, forwards or back, in place."""
        step = 1 if end >= begin else -1
        begin, end = sorted((begin, end))
        for row, window in enumerate(self._windows):
            np.add.at(counts[row], self._queue.between(begin, end, row), step)
            if window is not None:
                np.subtract.at(counts[row], self._queue.between(begin - window, end - window, row), step)
