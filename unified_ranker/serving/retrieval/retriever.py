"""Retriever: the allowed items whose vectors have the highest dot product with a request's."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import Ints, Mask
from unified_ranker.core.request import Request
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.request_rule import RequestRule

_LEAST_SHARE = 0.05
"""Least share of allowed items for a search by the index; below it, exact search does less work."""


class Retriever:
    """Finds candidates over a release's vectors, exactly or through an index.

    An index has no filters, so it is asked for more items, by the number that may not answer. Where it still finds too
    few, because an approximate index searches a part of the catalogue, the request is searched exactly. Live items are
    always searched exactly.

    Args:
        release: whose items are searched.
        index: over the release's vectors; None: exact search.
    """

    def __init__(self, release: OpenedRelease, index: Index | None = None) -> None:
        self._release = release
        self._index = index

    def __call__(self, queries: np.ndarray, requests: Sequence[Request]) -> list[Ints]:
        """Return each request's candidates as positions of items, best first.

        Their number is `OpenedRelease.candidates`, or that of the allowed items where those are fewer.

        Args:
            queries: query vectors `[batch, width]`.
            requests: `[batch]`.
        """
        rules = [RequestRule(self._release, request) for request in requests]
        return [self.scored(queries[row : row + 1], rule)[0] for row, rule in enumerate(rules)]

    def scored(self, query: np.ndarray, rule: RequestRule) -> tuple[Ints, np.ndarray]:
        """Return a request's candidates as positions and their scores, best first, for a query `[1, width]`."""
        release, wanted = self._release, rule.wanted
        positions, scores = self._of_release(query, rule)
        if release.live is None or not len(release.live):
            return positions, scores
        late = np.flatnonzero(rule.of_live())
        if len(late) == 0:
            return positions, scores
        scores = np.concatenate([scores, release.live.vectors[late] @ query[0]])
        positions = np.concatenate([positions, late + len(release.item_ids)])
        best = np.argsort(-scores, kind="stable")[:wanted]
        return positions[best], scores[best]

    def _of_release(self, query: np.ndarray, rule: RequestRule) -> tuple[Ints, np.ndarray]:
        items, wanted = len(self._release.item_ids), rule.wanted
        least = items - rule.excluded - rule.withheld
        share = least / items if rule.withheld else 1.0
        # A tenth more than in proportion, because withheld items are not evenly distributed.
        shown = int(wanted / max(share, _LEAST_SHARE) * 1.1) if rule.withheld else wanted
        asked = shown + rule.excluded
        # For more than half of the catalogue, exact search does less work than an index.
        if self._index is not None and least >= wanted and 2 * asked <= items and share >= _LEAST_SHARE:
            positions, scores = self._index.search(query, asked)
            # ScaNN pads with NaN where it finds fewer.
            good = np.isfinite(scores[0])
            good[good] = rule.allowed(positions[0][good].astype(np.int64))
            found = positions[0][good][:wanted]
            if len(found) == wanted:
                return found, scores[0][good][:wanted]
        return _best((query @ self._release.vectors.T)[0], rule.of_release(), wanted)


def _best(scores: np.ndarray, allowed: Mask, wanted: int) -> tuple[Ints, np.ndarray]:
    """Return positions and values of the highest of `scores` `[items]` that are allowed; ties go to the lower one."""
    count = min(wanted, int(allowed.sum()))
    if count == 0:
        return np.zeros(0, np.int64), np.zeros(0, np.float32)
    scores[~allowed] = -np.inf
    least = np.partition(scores, -count)[-count]
    chosen = np.flatnonzero(scores >= least)
    chosen = chosen[np.argsort(-scores[chosen], kind="stable")][:count]
    return chosen, scores[chosen]
