"""Engagements: the items of each user's positives strictly before a moment.

The candidate rule and the history-based baselines both use it, so that they read the same engagements.
"""

import numpy as np
import numpy.typing as npt
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.prepare.examples import Examples


class Engagements:
    """Positives of known users, sorted by (user, time), so that "strictly before" is a prefix.

    Args:
        examples: the positives to look up, of one task or of many.
        users: number of known users.
        items: number of items in the catalogue.
    """

    def __init__(self, examples: Examples, users: int, items: int) -> None:
        known = np.flatnonzero((examples.user != MISSING) & (examples.item != MISSING))
        order = known[np.lexsort((examples.timestamp[known], examples.user[known]))]
        self.items = items
        self._item, self._time = examples.item[order], examples.timestamp[order]
        self._starts = np.searchsorted(examples.user[order], np.arange(users + 1))

    def before(self, user: int, timestamp: int) -> tuple[Ints, Ints]:
        """Return items and times of `user`'s positives strictly before `timestamp` (seconds), the oldest first."""
        if user == MISSING:
            return self._item[:0], self._time[:0]
        start, stop = int(self._starts[user]), int(self._starts[user + 1])
        end = start + int(np.searchsorted(self._time[start:stop], timestamp, side="left"))
        return self._item[start:end], self._time[start:end]

    def pairs(self, user: Ints, timestamp: Ints) -> tuple[Ints, Ints]:
        """Return distinct (request, item) index pairs for the requests `user` `[n]`, `timestamp` `[n]`."""
        found = [np.unique(self.before(u, t)[0]) for u, t in zip(user.tolist(), timestamp.tolist(), strict=True)]
        rows = np.repeat(np.arange(len(found)), [len(f) for f in found])
        return rows, np.concatenate(found) if found else np.zeros(0, np.int64)

    def matrix(self, requests: Examples) -> sparse.csr_array:
        """Return a 0/1 matrix `[requests, items]` of what each request's user had engaged with before it."""
        rows, items = self.pairs(requests.user, requests.timestamp)
        return ones(rows, items, (len(requests), self.items))


def ones(rows: Ints, columns: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Return a 0/1 matrix of `shape` with ones at (`rows`, `columns`); repeated cells stay 1."""
    matrix = counts(rows, columns, shape)
    matrix.data[:] = 1.0
    return matrix


def counts(rows: Ints, columns: Ints, shape: tuple[int, int]) -> sparse.csr_array:
    """Return a matrix of `shape` that counts how often each (row, column) occurs."""
    data: npt.NDArray[np.float32] = np.ones(len(rows), np.float32)
    matrix = sparse.coo_array((data, (rows, columns)), shape=shape).tocsr()
    matrix.sum_duplicates()
    return matrix
