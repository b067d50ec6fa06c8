"""The user's own earlier items, for tasks that offer again what the user had: newest first, and most often.

They read the user's earlier positives of every task, as the item-to-item models do. Popularity decides between equals
and orders what the user never had.
"""

from abc import abstractmethod

import numpy as np

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item, tie_break
from unified_ranker.evaluation.engagements import Engagements
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


class _HadBefore(Baseline):
    """A baseline that orders the user's earlier items, and has them before all others."""

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.again

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        items = len(prepared.items)
        self._earlier = Engagements(prepared.examples, len(prepared.users), items)
        self._tie_break = tie_break(positives_per_item(past, self.task, items))

    def _score(self, requests: Examples) -> Floats:
        scores = np.tile(self._tie_break, (len(requests), 1))
        for row, (user, time) in enumerate(zip(requests.user.tolist(), requests.timestamp.tolist(), strict=True)):
            items, times = self._earlier.before(user, time)
            had, newest_first = np.unique(items[::-1], return_index=True)
            counts = np.unique(items, return_counts=True)[1]
            # Events of one second are simultaneous: their items have one rank.
            rank = np.unique(times, return_inverse=True)[1][::-1][newest_first]
            scores[row, had] = self._order(rank, counts, self._tie_break[had])
        return scores

    @abstractmethod
    def _order(self, rank: Ints, counts: Ints, popularity: Floats) -> Floats:
        """Score the items that a user had, `[n]`, from 1 up.

        Args:
            rank: distinct times of the user before the item's last one, `[n]`.
            counts: how often the user had it, `[n]`.
            popularity: of the item, in [0, 1), `[n]`.
        """


@BASELINES.declare
class HadNewest(_HadBefore):
    """The user's earlier items by their last time, the newest first; within one basket the most frequent first."""

    name = "had before, newest first"
    signal = "repeats"

    def _order(self, rank: Ints, counts: Ints, popularity: Floats) -> Floats:
        return _ordered(rank, counts, popularity)


@BASELINES.declare
class HadOften(_HadBefore):
    """The user's earlier items by how often the user had them; the newest first among equal counts."""

    name = "had before, most often"
    signal = "repeats"

    def _order(self, rank: Ints, counts: Ints, popularity: Floats) -> Floats:
        return _ordered(counts, rank, popularity)


def _ordered(first: Ints, then: Ints, last: Floats) -> Floats:
    """Return ranks `[n]` by `first`; among equals by `then`, from 0 up; among these by `last`, in [0, 1)."""
    # In double precision, then ranks: float32 cannot tell ties of two in a long history.
    most = then.max(initial=0) + 1
    return dense_ranks(first + (then + last) / (most + 1))


def dense_ranks(scores: Floats) -> Floats:
    """Return the ranks of scores `[n]` from 1 up, equal ones alike."""
    return 1 + np.unique(scores, return_inverse=True)[1].astype(np.float32)
