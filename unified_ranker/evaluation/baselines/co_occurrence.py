"""Co-occurrence of source and chosen item, for surfaces that start from an item."""

import numpy as np
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Floats
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item, tie_break
from unified_ranker.evaluation.engagements import counts
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.walks import REVERSE, both_ways, shares, walk

_LAST = np.float32(1e-6)
"""Factor of popularity: below any share of a pair, so that popularity decides only between equal shares."""


@BASELINES.declare
class CoOccurrence(Baseline):
    """Co-occurrence: how often the item was chosen from the source, plus a quarter of the count in the other direction.

    Popularity decides between equal counts, and alone where the request has no source item.
    """

    name = "co-occurrence"
    signal = "source_pairs"

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.sources

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        self._pairs = both_ways(chosen_from(past, self.task, items))
        # Scaled by a quarter, the smallest difference between two scores of pairs.
        self._tie_break = REVERSE * tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        return from_sources(self._pairs, requests).toarray() + self._tie_break


@BASELINES.declare
class CoOccurrenceWalk(Baseline):
    """Co-occurrence in one step and in two: items chosen from the source item, and items chosen from those.

    The counts of each source become shares; those of two steps have twice the weight of those of one. Popularity
    ranks the items that no walk reaches.
    """

    name = "co-occurrence, two steps"
    signal = "source_walks"

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.sources

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        self._step = shares(chosen_from(past, self.task, items))
        self._tie_break = _LAST * tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        once = from_sources(self._step, requests)
        return walk(once, once @ self._step).toarray() + self._tie_break


def chosen_from(past: Examples, task: str, items: int) -> sparse.csr_array:
    """Count the (source, chosen) pairs of `task`, `[items, items]`."""
    rows = np.flatnonzero((past.task == task) & (past.source_item != MISSING))
    return counts(past.source_item[rows], past.item[rows], (items, items))


def from_sources(matrix: sparse.csr_array, requests: Examples) -> sparse.csr_array:
    """Return the rows of `matrix` `[items, items]` at the source items; zeros where a request has none."""
    rows = np.flatnonzero(requests.source_item != MISSING)
    cells = (rows, requests.source_item[rows])
    chosen = sparse.coo_array((np.ones(len(rows), np.float32), cells), (len(requests), matrix.shape[0]))
    return (chosen.tocsr() @ matrix).tocsr()
