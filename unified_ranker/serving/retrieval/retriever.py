"""The candidates of a request: the items whose vectors score highest among those that may answer it."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import Ints
from unified_ranker.core.request import Request
from unified_ranker.release.index import Index
from unified_ranker.serving.answering.opened_release import OpenedRelease

LEAST_SHARE = 0.05
"""Share of the catalogue that must be allowed for an index to be asked; below, exact search does less work."""


class Retriever:
    """Finds candidates over a release's vectors, exactly or through an index.

    An index knows no filters, so it is asked for as many items more as may not answer. Where it then still gives too
    few (an approximate one looks at a part of the catalogue only), that request is searched exactly instead. Items that
    came since the release was written are searched exactly beside it.

    Args:
        release: whose items are searched.
        index: over the release's vectors; None: exact search.
    """

    def __init__(self, release: OpenedRelease, index: Index | None = None) -> None:
        self._release = release
        self._index = index

    def __call__(self, queries: np.ndarray, requests: Sequence[Request]) -> list[Ints]:
        """Return each request's candidates as positions of items, best first.

        They are as many as `OpenedRelease.candidates` says, or every item that may answer where those are fewer.

        Args:
            queries: query vectors `[batch, width]`.
            requests: `[batch]`.
        """
        return [self.scored(queries[row : row + 1], request)[0] for row, request in enumerate(requests)]

    def scored(self, query: np.ndarray, request: Request) -> tuple[Ints, np.ndarray]:
        """Return a request's candidates as positions and their scores, best first, for a query `[1, width]`."""
        release = self._release
        excluded, wanted = release.excluded(request), release.candidates(request)
        blocked, hidden = release.filters.blocked(request.country) if release.filters else (None, 0)
        if blocked is not None and len(excluded):
            hidden -= int(blocked[excluded].sum())
        allowed = len(release.item_ids) - len(excluded) - hidden
        positions, scores = self._of_release(query, excluded, blocked, min(wanted, allowed), allowed)
        if release.live is None or not len(release.live):
            return positions, scores
        late = np.flatnonzero(~release.excluded_live(request))
        if len(late) == 0:
            return positions, scores
        scores = np.concatenate([scores, release.live.vectors[late] @ query[0]])
        positions = np.concatenate([positions, late + len(release.item_ids)])
        best = np.argsort(-scores, kind="stable")[:wanted]
        return positions[best], scores[best]

    def _of_release(
        self, query: np.ndarray, excluded: Ints, blocked: np.ndarray | None, count: int, allowed: int
    ) -> tuple[Ints, np.ndarray]:
        items = len(self._release.item_ids)
        if count <= 0:
            return np.zeros(0, np.int64), np.zeros(0, np.float32)
        share = allowed / items if blocked is not None else 1.0
        # A tenth more than the share says: the blocked items are not spread evenly.
        asked = count + len(excluded) if blocked is None else int(count / max(share, LEAST_SHARE) * 1.1) + len(excluded)
        # Past half of the catalogue, exact search does less work than an index does.
        if self._index is not None and 2 * asked <= items and share >= LEAST_SHARE:
            positions, scores = self._index.search(query, asked)
            # ScaNN fills up with NaN where it finds fewer.
            good = np.isfinite(scores[0])
            if len(excluded):
                good &= ~np.isin(positions[0], excluded)
            if blocked is not None:
                good[good] = ~blocked[positions[0][good]]
            found = positions[0][good][:count]
            if len(found) == count:
                return found, scores[0][good][:count]
        return _best((query @ self._release.vectors.T)[0], excluded, blocked, count)


def _best(scores: np.ndarray, excluded: Ints, blocked: np.ndarray | None, count: int) -> tuple[Ints, np.ndarray]:
    """Return positions and values of the `count` highest of `scores` `[items]`; ties go to the lower position."""
    scores[excluded] = -np.inf
    if blocked is not None:
        scores[blocked] = -np.inf
    least = np.partition(scores, -count)[-count]
    chosen = np.flatnonzero(scores >= least)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:count]
    return chosen, scores[chosen]
