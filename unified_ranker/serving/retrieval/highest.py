"""Highest of many scores, best first."""

import numpy as np

from unified_ranker.core.arrays import Floats, Ints


def highest(scores: Floats, count: int) -> Ints:
    """Return the positions of the `count` highest of `scores` `[n]`, best first; equal ones in their order.

    Scores and positions are sorted as one whole number each, which NumPy does in a fifth of the time of a stable sort.
    """
    count = min(count, len(scores))
    if count == 0:
        return np.zeros(0, np.int64)
    chosen = np.flatnonzero(scores >= np.partition(scores, -count)[-count])
    # As whole numbers, floats below zero are in the opposite order. The sum makes -0.0 equal to 0.0.
    bits = (scores[chosen].astype(np.float32) + np.float32(0)).view(np.int32).astype(np.int64)
    falling = np.where(bits < 0, bits & 0x7FFFFFFF, -bits)
    keys = np.sort((falling << 32) + chosen)[:count]
    return keys & 0xFFFFFFFF
