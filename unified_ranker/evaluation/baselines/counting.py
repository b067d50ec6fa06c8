"""Counts that several baselines rank by."""

import numpy as np

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.prepare.examples import Examples


def positives_per_item(past: Examples, task: str, items: int) -> Ints:
    """Count the positives of `task` for each item, `[items]`."""
    return np.bincount(past.item[past.task == task], minlength=items)


def tie_break(popularity: Ints) -> Floats:
    """Scale counts `[items]` into [0, 1): added to whole numbers, they only decide between equal ones."""
    return (popularity / (popularity.max(initial=0) + 1)).astype(np.float32)
