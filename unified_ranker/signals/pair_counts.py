"""Ordered pairs of items and their times: counts as of any moment, and tables for serving."""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.prepare.examples import Examples, Histories, TimeIndex
from unified_ranker.signals.ordered_pairs import ordered_pairs
from unified_ranker.signals.ragged_rows import row_starts


class PairsAsOf:
    """Counts of ordered pairs: how often item `b` came after item `a`, strictly before a time.

    Args:
        first: item indices `[n]`.
        second: item indices `[n]`; pairs of an item with itself are left out.
        time: seconds `[n]`, when the pair became known.
        items: the number of items in the catalogue.
    """

    def __init__(self, first: Ints, second: Ints, time: Ints, items: int) -> None:
        kept = (first != MISSING) & (second != MISSING) & (first != second)
        first, second, time = first[kept], second[kept], time[kept]
        self.items = items
        key = first * items + second
        order = np.lexsort((time, key))
        self.keys, starts = np.unique(key[order], return_index=True)
        self._of_pair = TimeIndex(np.append(starts, len(key)).astype(np.int64), time[order])
        order = np.lexsort((time, first))
        self._starts = np.searchsorted(first[order], np.arange(items + 1)).astype(np.int64)
        self._of_first = TimeIndex(self._starts, time[order])
        self.times = time

    def count(self, first: Ints, second: Ints, time: Ints) -> Ints:
        """Return the counts of pairs `first` `[n]`, `second` `[n]` before `time` `[n]`; 0 where one is `MISSING`."""
        if not len(self.keys):
            return np.zeros(len(first), np.int64)
        key = first * self.items + second
        row = np.minimum(np.searchsorted(self.keys, key), len(self.keys) - 1)
        # Only pairs that occur at all are counted; most candidates have none.
        found = np.flatnonzero((self.keys[row] == key) & (first != MISSING) & (second != MISSING))
        row = row[found]
        counts = np.zeros(len(first), np.int64)
        counts[found] = self._of_pair.end(row, time[found]) - self._of_pair.offsets[row]
        return counts

    def total(self, first: Ints, time: Ints) -> Ints:
        """Return how many pairs begin with `first` `[n]` before `time` `[n]`; 0 for `MISSING`."""
        row = np.maximum(first, 0)
        return np.where(first == MISSING, 0, self._of_first.end(row, time) - self._starts[row])

    def matrix(self, time: int) -> sparse.csr_array:
        """Return all counts strictly before `time` (seconds), `[items, items]`."""
        first, second = np.divmod(self.keys, self.items)
        found = self.count(first, second, np.full(len(self.keys), time)).astype(np.float32)
        kept = found > 0
        return sparse.coo_array((found[kept], (first[kept], second[kept])), shape=(self.items, self.items)).tocsr()


@dataclass(frozen=True)
class PairTable:
    """The strongest partners of each item at one moment, as rows of different lengths.

    Attributes:
        starts: where each item's partners begin, `[items + 2]`; the last row, of no item, is empty.
        partners: item indices `[pairs]`, the strongest of an item first.
        forward: how often the partner came after the item, `[pairs]`.
        backward: how often the partner came before the item, `[pairs]`.
        total: how many pairs begin with the item, `[items + 1]`.
    """

    starts: Ints
    partners: Ints
    forward: Floats
    backward: Floats
    total: Floats


BACKWARD = 0.25
"""Weight of a pair in the other direction when partners are chosen, as in the baseline "co-occurrence"."""


def pair_table(pairs: PairsAsOf, time: int, neighbours: int) -> PairTable:
    """Tabulate the counts strictly before `time` (seconds), for the `neighbours` strongest partners of each item."""
    items = pairs.items
    moment = np.full(len(pairs.keys), time)
    first, second = np.divmod(pairs.keys, items)
    forward = pairs.count(first, second, moment)
    # Every pair in both directions, so that a partner is found from either end.
    keys = np.unique(np.concatenate([pairs.keys, second * items + first])[np.tile(forward > 0, 2)])
    first, second = np.divmod(keys, items)
    moment = np.full(len(keys), time)
    ahead, behind = pairs.count(first, second, moment), pairs.count(second, first, moment)
    order = np.lexsort((second, -(ahead + BACKWARD * behind), first))
    first, second, ahead, behind = first[order], second[order], ahead[order], behind[order]
    starts = np.searchsorted(first, np.arange(items + 1))
    rank = np.arange(len(first)) - starts[first]
    kept = rank < neighbours
    rows = np.minimum(np.diff(starts), neighbours)
    total = pairs.total(np.append(np.arange(items), MISSING), np.full(items + 1, time)).astype(np.float32)
    return PairTable(
        starts=row_starts(rows),
        partners=second[kept],
        forward=ahead[kept].astype(np.float32),
        backward=behind[kept].astype(np.float32),
        total=total,
    )


def pairs_from_sources(examples: Examples, items: int) -> PairsAsOf:
    """Pair each positive with the source item that it was chosen from."""
    return PairsAsOf(examples.source_item, examples.item, examples.timestamp, items)


def pairs_from_histories(histories: Histories, window: int, items: int) -> PairsAsOf:
    """Pair each event's item with those of the user's previous `window` events; see `ordered_pairs`."""
    earlier, later, _ = ordered_pairs(histories.user, histories.timestamp, histories.item, window)
    return PairsAsOf(histories.item[earlier], histories.item[later], histories.timestamp[later], items)
