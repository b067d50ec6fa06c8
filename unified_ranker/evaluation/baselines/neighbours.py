"""Item-to-item models over the matrix of users and items: item-kNN and EASE.

They score from the user's earlier positives. Positives of every task count as engagement, so that a surface with little
data of its own still has neighbours. A user without earlier positives gets the task's popular items.
"""

import numpy as np
from scipy import sparse

from unified_ranker.core.arrays import MISSING, Floats
from unified_ranker.evaluation.baselines.base import BASELINES, Baseline, TaskFacts
from unified_ranker.evaluation.baselines.counting import positives_per_item
from unified_ranker.evaluation.engagements import Engagements, ones
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.history_pairs import ease_weights


class _FromHistory(Baseline):
    """A baseline that sums item-to-item scores over the user's earlier positives."""

    @classmethod
    def suits(cls, facts: TaskFacts) -> bool:
        """See `Baseline.suits`."""
        return facts.neither

    def _fit(self, prepared: Prepared, past: Examples, fit_end: int) -> None:
        users, items = len(prepared.users), len(prepared.items)
        self._earlier = Engagements(prepared.examples, users, items)
        self._popularity = positives_per_item(past, self.task, items).astype(np.float32)
        known = past.user != MISSING
        self._learn(ones(past.user[known], past.item[known], (users, items)))

    def _score(self, requests: Examples) -> Floats:
        history = self._earlier.matrix(requests)
        scores = self._from(history)
        scores[np.diff(history.indptr) == 0] = self._popularity
        return scores

    def _learn(self, engaged: sparse.csr_array) -> None:
        """Learn from the 0/1 matrix `engaged` `[users, items]`."""
        raise NotImplementedError

    def _from(self, history: sparse.csr_array) -> Floats:
        """Score from the 0/1 matrix `history` `[batch, items]`, `[batch, items]`."""
        raise NotImplementedError


@BASELINES.declare
class ItemKnn(_FromHistory):
    """Sum of the cosines between an item and the user's items, over the users who engaged with both.

    All neighbours count, without shrinkage: that had the best Recall@10 and NDCG@10 on the validation slices of
    MovieLens 100K and of a retail log, against cuts at 20 to 200 neighbours and shrinkage by 5 to 100.
    """

    name = "item-kNN"
    signal = "neighbours"

    def _learn(self, engaged: sparse.csr_array) -> None:
        norm = np.sqrt(np.maximum(engaged.sum(axis=0), 1.0)).astype(np.float32)
        self._scaled = (engaged @ sparse.diags_array(1 / norm)).tocsr()
        self._users = self._scaled.T.tocsr()
        # An item is no neighbour of itself: its cosine with itself is 1, or 0 where nobody engaged with it.
        self._with_itself = (np.diff(self._users.indptr) > 0).astype(np.float32)

    def _from(self, history: sparse.csr_array) -> Floats:
        # (history · Xᵀ) · X and not history · (Xᵀ · X): the item-by-item matrix of a large log does not fit in memory.
        scores = ((history @ self._users) @ self._scaled).toarray().astype(np.float32)
        rows, items = history.nonzero()
        scores[rows, items] -= self._with_itself[items]
        return scores


@BASELINES.declare
class Ease(_FromHistory):
    """EASE: the linear item-to-item model with zero diagonal that best reconstructs the engagements.

    Reference: Steck, "Embarrassingly Shallow Autoencoders for Sparse Data", arXiv 1905.03375, section 3.

    Args:
        task: the task whose requests it scores.
        regularisation: λ of the ridge penalty. 500 was best or within noise of it on the validation slices of
            MovieLens 100K and of a retail log, among 50 to 2000.
        most_items: the model covers at most this many items, those with most positives; the others score 0. Its
            time grows with the cube of this number, its memory with the square.
    """

    name = "EASE"
    signal = "ease"

    def __init__(self, task: str, regularisation: float = 500.0, most_items: int = 8000) -> None:
        super().__init__(task)
        self.regularisation, self.most_items = regularisation, most_items

    def _learn(self, engaged: sparse.csr_array) -> None:
        counts = np.asarray(engaged.sum(axis=0)).ravel()
        ranked = np.argsort(-counts, kind="stable")
        self._covered = np.sort(ranked[: min(self.most_items, np.count_nonzero(counts))])
        left_out = np.count_nonzero(counts) - len(self._covered)
        if left_out:
            self.note = f"covers the {len(self._covered):,} items with most positives; {left_out:,} others score 0"
        within = engaged[:, self._covered]
        gram = (within.T @ within).toarray().astype(np.float32, order="F")
        self._weights = ease_weights(gram, self.regularisation)

    def _from(self, history: sparse.csr_array) -> Floats:
        scores = np.zeros(history.shape, np.float32)
        scores[:, self._covered] = history[:, self._covered] @ self._weights
        return scores
