"""The candidates of a request: the items whose vectors score highest among those that may answer it."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.data.examples import Ints
from unified_ranker.export.index import Index
from unified_ranker.export.requests import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease


class Retriever:
    """Finds candidates over a release's vectors, exactly or through an index.

    An index knows no filters, so it is asked for as many items more as may not answer. Where it then still gives too
    few (an approximate one looks at a part of the catalogue only), that request is searched exactly instead.

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
        excluded = [self._release.excluded(request) for request in requests]
        counts = [
            min(self._release.candidates(request), len(self._release.item_ids) - len(positions))
            for request, positions in zip(requests, excluded, strict=True)
        ]
        if self._index is None:
            scores = queries @ self._release.vectors.T
            return [_best(row, *given) for row, given in zip(scores, zip(excluded, counts, strict=True), strict=True)]
        rows = range(len(requests))
        return [self._through(self._index, queries[row : row + 1], excluded[row], counts[row]) for row in rows]

    def _through(self, index: Index, query: np.ndarray, excluded: Ints, count: int) -> Ints:
        wanted = count + len(excluded)
        # Past half of the catalogue, exact search does less work than an index does.
        if 2 * wanted <= len(self._release.item_ids):
            positions, scores = index.search(query, wanted)
            # ScaNN fills up with NaN where it finds fewer.
            found = positions[0][np.isfinite(scores[0])]
            found = found[~np.isin(found, excluded)][:count]
            if len(found) == count:
                return found
        return _best((query @ self._release.vectors.T)[0], excluded, count)


def _best(scores: np.ndarray, excluded: Ints, count: int) -> Ints:
    """Return the positions of the `count` highest of `scores` `[items]`; ties go to the lower position."""
    if count <= 0:
        return np.zeros(0, np.int64)
    scores[excluded] = -np.inf
    least = np.partition(scores, -count)[-count]
    chosen = np.flatnonzero(scores >= least)
    return chosen[np.argsort(-scores[chosen], kind="stable")][:count]
