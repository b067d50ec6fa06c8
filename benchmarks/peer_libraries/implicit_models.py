"""implicit (github.com/benfred/implicit): alternating least squares and Bayesian personalised ranking.

Settings are the library's defaults (100 factors) but for the number of iterations, which is found.

ALS computes a user's factors from the history of the request (`recalculate_user`); BPR has factors for the users of its
training only. Requests with a source item that a model knows get the cosines of the items' factors, as `similar_items`
gives them.
"""

from collections.abc import Callable

import numpy as np
from exchange import NOTHING, Floats, Folder, Interactions, Requests
from implicit.cpu.als import AlternatingLeastSquares
from implicit.cpu.bpr import BayesianPersonalizedRanking
from known_items import KnownItems, cosines
from scipy.sparse import csr_matrix
from train_within import Make, run


class _Factors:
    """A model of factors; `learn` goes on from the factors that it has.

    Its random numbers go on, too: a seed would draw the same samples in each epoch.
    """

    def __init__(self, folder: Folder, interactions: Interactions) -> None:
        about = folder.about
        self._items = KnownItems(interactions.item, about.items)
        self._known_user = np.zeros(about.users, bool)
        self._known_user[interactions.user] = True
        self._model = self._make(about.threads, np.random.default_rng(about.seed))
        self._engaged = self._matrix(interactions.user, interactions.item, about.users)
        self.events = len(interactions.item)

    def _make(self, threads: int, random: np.random.Generator) -> AlternatingLeastSquares | BayesianPersonalizedRanking:
        raise NotImplementedError

    def _users(self, requests: Requests) -> Floats:
        """Return the factors of each request's user `[requests, factors]`; NaN where there are none."""
        raise NotImplementedError

    def learn(self) -> None:
        """See `Learner.learn`."""
        self._model.fit(self._engaged, show_progress=False)

    def score(self, requests: Requests) -> Floats:
        """See `Learner.score`."""
        factors = self._model.item_factors
        scores = self._users(requests) @ factors.T
        source = self._items.number(requests.source)
        known = source != NOTHING
        scores[known] = cosines(factors, source[known])
        return self._items.of_catalogue(scores)

    def _matrix(self, rows: np.ndarray, items: np.ndarray, count: int) -> csr_matrix:
        """Return how often each row has each of the known items, `[rows, known items]`."""
        number = self._items.number(items)
        known = number != NOTHING
        places = rows[known], number[known]
        return csr_matrix((np.ones(known.sum(), np.float32), places), shape=(count, len(self._items.known)))


class Als(_Factors):
    """Alternating least squares; how often a user had an item is its confidence."""

    def _make(self, threads: int, random: np.random.Generator) -> AlternatingLeastSquares:
        return AlternatingLeastSquares(iterations=1, num_threads=threads, random_state=random)

    def _users(self, requests: Requests) -> Floats:
        rows = np.repeat(np.arange(len(requests)), np.diff(requests.offsets))
        history = self._matrix(rows, requests.history, len(requests))
        factors = self._model.recalculate_user(np.arange(len(requests)), history)
        factors[np.diff(history.indptr) == 0] = np.nan
        return factors


class Bpr(_Factors):
    """Bayesian personalised ranking."""

    def _make(self, threads: int, random: np.random.Generator) -> BayesianPersonalizedRanking:
        return BayesianPersonalizedRanking(iterations=1, num_threads=threads, random_state=random)

    def _users(self, requests: Requests) -> Floats:
        known = (requests.user != NOTHING) & self._known_user[requests.user]
        return np.where(known[:, None], self._model.user_factors[requests.user], np.float32(np.nan))


def _of(kind: type[Als] | type[Bpr]) -> Callable[[Folder], Make]:
    return lambda folder: lambda interactions: kind(folder, interactions)


if __name__ == "__main__":
    run({"als": _of(Als), "bpr": _of(Bpr)}, ["implicit", "numpy", "scipy"])
