"""Index `exact`: every item is scored."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np

from unified_ranker.release.indexes.base import INDEXES, Index, IndexKind

_SCORES_AT_ONCE = 8_000_000
"""Scores in memory at a time; each takes 16 bytes, with its index. 500 queries of a million items have 8 GB of them."""


@INDEXES.declare
class ExactIndex(IndexKind):
    """Exact search, for catalogues below about 20,000 items."""

    type: Literal["exact"]

    def build(self, directory: Path, vectors: np.ndarray) -> dict[str, int | float | str]:
        """See `IndexKind.build`; it writes nothing, because it searches the vectors of the release."""
        del directory, vectors
        return {}

    @classmethod
    def load(cls, directory: Path, vectors: np.ndarray, settings: Mapping[str, Any]) -> Index:
        """See `IndexKind.load`."""
        del directory, settings
        return ExactSearch(vectors)


class ExactSearch(Index):
    """Exact search, which scores every item; approximate indexes are measured against it."""

    def __init__(self, vectors: np.ndarray) -> None:
        """Search `vectors` `[items, width]`."""
        self.vectors = np.ascontiguousarray(vectors, np.float32)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`; of equal scores, the lower position comes first."""
        size = max(_SCORES_AT_ONCE // max(len(self.vectors), 1), 1)
        parts = [self._nearest(queries[start : start + size], k) for start in range(0, max(len(queries), 1), size)]
        indices, values = zip(*parts, strict=True)
        return np.concatenate(indices), np.concatenate(values)

    def _nearest(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        scores = queries.astype(np.float32) @ self.vectors.T
        k = min(k, scores.shape[1])
        chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(scores, chosen, 1)
        order = np.lexsort((chosen, -values), axis=1)
        return np.take_along_axis(chosen, order, 1), np.take_along_axis(values, order, 1)
