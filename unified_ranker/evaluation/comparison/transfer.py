"""Transfer between tasks: how alike their popular items are, and how many items they share."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.prepare.examples import Examples


@dataclass(frozen=True)
class Transfer:
    """Two tasks, by their positives before the end of the fit window.

    Attributes:
        task: the task whose items and positives are counted.
        other: the task that they are compared with.
        divergence: Jensen-Shannon divergence of their popularities in bits: 0 = equal, 1 = no item in common.
        items: share of the task's items that the other has, too.
        positives: share of the task's positives that fall on such items.
    """

    task: str
    other: str
    divergence: float
    items: float
    positives: float


def transfers(past: Examples, tasks: list[str], items: int) -> list[Transfer]:
    """Compare every ordered pair of `tasks` with positives in `past`.

    Popularity divergence and overlap decide whether joint training can help (Spotify, arXiv 2410.16823, section 5).
    """
    counts = {
        task: np.bincount(past.item[(past.task == task) & (past.item != MISSING)], minlength=items) for task in tasks
    }
    seen = [task for task in tasks if counts[task].sum()]
    return [_compare(task, other, counts[task], counts[other]) for task in seen for other in seen if task != other]


def _compare(task: str, other: str, own: np.ndarray, others: np.ndarray) -> Transfer:
    p, q = own / own.sum(), others / others.sum()
    middle = (p + q) / 2
    divergence = (_kullback_leibler(p, middle) + _kullback_leibler(q, middle)) / 2
    shared = (own > 0) & (others > 0)
    return Transfer(task, other, divergence, shared.sum() / (own > 0).sum(), own[shared].sum() / own.sum())


def _kullback_leibler(p: np.ndarray, q: np.ndarray) -> float:
    some = p > 0
    return float((p[some] * np.log2(p[some] / q[some])).sum())
