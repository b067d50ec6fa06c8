"""Walks over pairs of items: from the source item to items chosen from it, and to items chosen from those."""

from collections.abc import Sequence
from functools import cached_property

import numpy as np
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.signals.pair_counts import PairsAsOf
from unified_ranker.signals.ragged_rows import row_starts

REVERSE = 0.25
"""Weight of a pair in the other direction. Best of 0, ¼, ½ and 1 over the validation slices of three logs."""
SECOND_STEP = 2.0
"""Weight of two steps against one. Best of 0.3 to 5 over the same slices."""
MOMENTS = 64
"""Most moments at which shares are tabulated for training."""
TABULATED_SHARES = 1 << 25
"""Most shares in these tables: 400 MB."""
WALKED_AT_ONCE = 1024
"""Number of items whose walks are computed at once for the table of serving."""


def both_ways(counts: sparse.csr_array) -> sparse.csr_array:
    """Add pairs in the other direction to counts `[items, items]`, at `REVERSE`."""
    return (counts + np.float32(REVERSE) * counts.T).tocsr()


def shares(counts: sparse.csr_array) -> sparse.csr_array:
    """Turn counts `[items, items]` into the share of each partner, in both directions."""
    both = both_ways(counts)
    totals = both.sum(axis=1)
    scale = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
    return (sparse.diags_array(scale.astype(np.float32)) @ both).tocsr()


def walk(once: sparse.csr_array, twice: sparse.csr_array) -> sparse.csr_array:
    """Return the shares `[n, items]` of walks from those of one step and of two."""
    return (once + SECOND_STEP * twice).tocsr()


class WalksAsOf:
    """Shares of walks as of the latest of some moments that is not after the example.

    The moments divide the pairs into equal numbers, so of 64 moments an example misses at most the last 64th of the
    pairs; a served graph is older still.
    """

    def __init__(self, pairs: PairsAsOf, end: int, moments: int = MOMENTS, tabulated: int = TABULATED_SHARES) -> None:
        """Tabulate `pairs` at moments up to `end` (seconds).

        Args:
            pairs: the pairs of items.
            end: the last moment, seconds.
            moments: most moments.
            tabulated: most shares in all tables, which may leave room for fewer moments, and at least for one.
        """
        times = pairs.times[pairs.times < end]
        most = max(min(moments, tabulated // max(2 * len(pairs.keys), 1)), 1)
        # Without pairs there are no quantiles, and the end is the only moment.
        parts = np.unique(np.quantile(times, np.linspace(0, 1, most), method="lower")) if len(times) else times
        self.moments = np.append(parts, end)[-most:]
        self._pairs = pairs

    @cached_property
    def steps(self) -> list[sparse.csr_array]:
        """The shares of one step at each moment; computed on first use, because only training uses them."""
        return [shares(self._pairs.matrix(int(moment))) for moment in self.moments]

    def count(self, origins: Ints, candidates: Ints, time: Ints) -> Floats:
        """Return the shares `[n, m]` of walks from `origins` `[n]` to `candidates` `[n, m]` as of `time` `[n]`."""
        out = np.zeros(candidates.shape, np.float32)
        moment = np.where(origins == MISSING, -1, np.searchsorted(self.moments, time, side="right") - 1)
        parts = [np.flatnonzero(moment == number) for number in np.unique(moment[moment >= 0])]
        if parts:
            steps = [self.steps[moment[rows[0]]] for rows in parts]
            once = [step[origins[rows]] for step, rows in zip(steps, parts, strict=True)]
            twice = [first @ step for first, step in zip(once, steps, strict=True)]
            # Summed and looked up for all rows at once: a few rows at a time took longer than the walks themselves.
            found = walk(sparse.vstack(once, "csr"), sparse.vstack(twice, "csr"))
            order = np.concatenate(parts)
            asked = np.maximum(candidates[order], 0)
            out[order] = found[np.arange(len(order))[:, None], asked].toarray()
        out[(candidates == MISSING) | (candidates == origins[:, None])] = 0.0
        return out


def walk_table(pairs: PairsAsOf, time: int, neighbours: int) -> tuple[Ints, Ints, Floats]:
    """Return the `neighbours` likeliest ends of walks from each item, as of `time` (seconds), see `PartnerSignal`."""
    step = shares(pairs.matrix(time))
    lengths: list[int] = []
    parts: list[tuple[Ints, Floats]] = []
    for begin in range(0, pairs.items, WALKED_AT_ONCE):
        found = walk(step[begin : begin + WALKED_AT_ONCE], step[begin : begin + WALKED_AT_ONCE] @ step)
        for row, (low, high) in enumerate(zip(found.indptr, found.indptr[1:], strict=False), start=begin):
            item, share = found.indices[low:high], found.data[low:high]
            item, share = item[item != row], share[item != row]
            best = np.lexsort((item, -share))[:neighbours]
            parts.append((item[best], share[best]))
            lengths.append(len(best))
    starts = row_starts(lengths)
    return (
        starts,
        _joined([part[0] for part in parts], np.int64),
        _joined([part[1] for part in parts], np.float32)[:, None],
    )


def _joined(parts: Sequence[np.ndarray], kind: type) -> np.ndarray:
    return np.concatenate([*parts, np.zeros(0)]).astype(kind)
