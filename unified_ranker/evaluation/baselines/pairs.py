"""Co-occurrence of source and chosen item, for surfaces that start from an item."""

import numpy as np
from scipy import sparse

from unified_ranker.data.examples import MISSING, Examples, Floats
from unified_ranker.data.prepared import Prepared
from unified_ranker.evaluation.baselines.base import Baseline, positives_per_item, tie_break
from unified_ranker.evaluation.engagements import counts

REVERSE = 0.25
"""Weight of a pair in the other direction. Best of 0, ¼, ½ and 1 over the validation slices of three logs."""
SECOND_STEP = 2.0
"""Weight of two steps against one. Best of 0.3 to 5 over the same slices."""
_LAST = np.float32(1e-6)
"""Below any share of a pair, so that popularity decides only where the pairs do not."""


class CoOccurrence(Baseline):
    """How often the item was chosen from the source, plus a quarter of how often it was the other way round.

    Popularity decides between equal counts, and everything where the request has no source item.
    """

    name = "co-occurrence"

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        self._pairs = pairs_of(past, self.task, items)
        # A quarter is the smallest difference between two scores of pairs.
        self._tie_break = REVERSE * tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        return from_sources(self._pairs, requests).toarray() + self._tie_break


class CoOccurrenceWalk(Baseline):
    """Co-occurrence in one step and in two: what was chosen from the source, and from that again.

    The counts of each source become shares; the shares of two steps weigh twice those of one. Popularity
    decides where no walk leads.
    """

    name = "co-occurrence, two steps"

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        pairs = pairs_of(past, self.task, items)
        totals = pairs.sum(axis=1)
        shares = np.divide(1.0, totals, out=np.zeros_like(totals), where=totals > 0)
        self._step = (sparse.diags_array(shares.astype(np.float32)) @ pairs).tocsr()
        self._tie_break = _LAST * tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        once = from_sources(self._step, requests)
        return (once + SECOND_STEP * (once @ self._step)).toarray() + self._tie_break


def pairs_of(past: Examples, task: str, items: int) -> sparse.csr_array:
    """Count the (source, chosen) pairs of `task`, `[items, items]`, the reverse direction at `REVERSE`."""
    rows = np.flatnonzero((past.task == task) & (past.source_item != MISSING))
    forward = counts(past.source_item[rows], past.item[rows], (items, items))
    return (forward + np.float32(REVERSE) * forward.T).tocsr()


def from_sources(matrix: sparse.csr_array, requests: Examples) -> sparse.csr_array:
    """Return the rows of `matrix` `[items, items]` at the source items; zeros where a request has none."""
    rows = np.flatnonzero(requests.source_item != MISSING)
    place = (rows, requests.source_item[rows])
    chosen = sparse.coo_array((np.ones(len(rows), np.float32), place), (len(requests), matrix.shape[0]))
    return (chosen.tocsr() @ matrix).tocsr()
