"""Recall of an index against exact search, measured on recent queries."""

import time
from collections.abc import Sequence

import numpy as np

from unified_ranker.release.indexes.base import Index
from unified_ranker.release.indexes.exact import ExactSearch

_ROWS, _PAUSE = 8_192, 0.005
"""Rows that are searched at once, about a millisecond of work, and the pause after them in seconds, for requests."""


def recall_of(index: Index, vectors: np.ndarray, queries: Sequence[np.ndarray], k: int = 100) -> float | None:
    """Return the share of the exact `k` best that `index` finds among its own `k` best; None without a query.

    The exact search goes over the vectors `[items, width]` in parts with pauses, because requests are answered
    meanwhile.

    Args:
        index: over `vectors`.
        vectors: `[items, width]`.
        queries: query vectors `[1, width]` of recent requests.
        k: number of nearest items.
    """
    if not len(queries):
        return None
    if isinstance(index, ExactSearch):
        return 1.0
    asked = np.concatenate(list(queries)).astype(np.float32)
    k = min(k, len(vectors))
    scores = np.empty((len(asked), 0), np.float32)
    positions = np.empty((len(asked), 0), np.int64)
    for start in range(0, len(vectors), _ROWS):
        part = asked @ vectors[start : start + _ROWS].T
        scores = np.concatenate([scores, part], 1)
        positions = np.concatenate([positions, np.broadcast_to(np.arange(start, start + part.shape[1]), part.shape)], 1)
        if scores.shape[1] > k:
            best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
            scores, positions = np.take_along_axis(scores, best, 1), np.take_along_axis(positions, best, 1)
        time.sleep(_PAUSE)
    found, values = index.search(asked, k)
    hits = [
        len(np.intersect1d(positions[row], found[row][np.isfinite(values[row])], assume_unique=True)) / k
        for row in range(len(asked))
    ]
    return float(np.mean(hits))
