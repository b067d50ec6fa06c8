"""Retriever: the allowed items whose vectors have the highest dot product with a request's."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import Ints
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.retrieval.highest import highest

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

    def __call__(self, queries: np.ndarray, rules: Sequence[RequestRule]) -> list[Ints]:
        """Return each request's candidates as positions of items, best first.

        Their number is `OpenedRelease.candidates`, or that of the allowed items where those are fewer.

        Args:
            queries: query vectors `[batch, width]`.
            rules: of the requests, `[batch]`.
        """
        if self._index is not None:
            return [self.scored(queries[row : row + 1], rule)[0] for row, rule in enumerate(rules)]
        # One product for all, because a product with one vector takes as long as one with ten.
        every = queries @ self._release.vectors.T
        return [self.scored(queries[row : row + 1], rule, every[row])[0] for row, rule in enumerate(rules)]

    def scored(self, query: np.ndarray, rule: RequestRule, every: np.ndarray | None = None) -> tuple[Ints, np.ndarray]:
        """Return a request's candidates as positions and their scores, best first, for a query `[1, width]`.

        `every` are the scores of the release's own items `[items]`, where they have been computed.
        """
        release, wanted = self._release, rule.wanted
        positions, scores = self._of_release(query, rule, every)
        if release.live is None or not len(release.live):
            return positions, scores
        late = np.flatnonzero(rule.of_live())
        if len(late) == 0:
            return positions, scores
        scores = np.concatenate([scores, release.live.vectors[late] @ query[0]])
        positions = np.concatenate([positions, late + len(release.item_ids)])
        best = highest(scores, wanted)
        return positions[best], scores[best]

    def _of_release(self, query: np.ndarray, rule: RequestRule, every: np.ndarray | None) -> tuple[Ints, np.ndarray]:
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
        if every is None:
            every = (query @ self._release.vectors.T)[0]
        # The rule costs more than the search, so it is asked about the best items alone where these suffice.
        if least >= wanted and 2 * asked <= items:
            positions = highest(every, asked)
            positions = positions[rule.allowed(positions)][:wanted]
            if len(positions) == wanted:
                return positions, every[positions]
        allowed = rule.of_release()
        positions = highest(np.where(allowed, every, -np.inf), min(wanted, int(allowed.sum())))
        return positions, every[positions]
