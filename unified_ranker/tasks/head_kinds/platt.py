"""Calibration of probabilities: its measure, and Platt's two numbers for each head. Pure NumPy.

A head's output is calibrated when, among all (request, candidate) pairs that it gives about p, the share p are the
event that it predicts.
"""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit

from unified_ranker.tasks.head_kinds.base import Bin, HeadReport

Numbers = npt.NDArray[np.floating]

BINS = 15
"""Bins of equal mass (Nixon et al., arXiv 1904.01685, section 3: adaptive calibration error)."""
_STEEPEST = 7.0
"""Bound of |log scale|: a head that has nothing to go by is made flat, not of the other sign."""


def measure(head: str, probability: Numbers, event: npt.NDArray[np.bool_]) -> HeadReport:
    """Compare probabilities `[pairs]` with what happened `[pairs]`; there must be a pair."""
    order = np.argsort(probability, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple(Bin(len(p), float(probability[p].mean()), float(event[p].mean())) for p in parts)
    error = sum(b.pairs * abs(b.predicted - b.happened) for b in bins) / len(order)
    return HeadReport(head, len(order), float(event.mean()), float(probability.mean()), float(error), bins)


def fit_platt(logits: Numbers, event: npt.NDArray[np.bool_]) -> tuple[float, float]:
    """Find (a, b) for which sigmoid(exp(a) · logit + b) fits the events best; the order of logits is kept.

    Args:
        logits: `[pairs]`, at least one.
        event: `[pairs]`.

    Reference: Platt (1999), section 2.2: labels are smoothed by one pseudo-count each, so that a head whose event
    never happened has a finite answer.
    """
    many = int(event.sum())
    target = np.where(event, (many + 1) / (many + 2), 1 / (len(event) - many + 2))
    x = logits.astype(np.float64)

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        a, b = parameters
        z = np.exp(a) * x + b
        residual = (expit(z) - target) / len(x)
        value = float((np.logaddexp(0, z) - target * z).mean())
        return value, np.array([(residual * x).sum() * np.exp(a), residual.sum()])

    rate = np.clip(target.mean(), 1e-9, 1 - 1e-9)
    start = np.array([0.0, np.log(rate / (1 - rate)) - x.mean()])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-_STEEPEST, _STEEPEST), (None, None)])
    return float(found.x[0]), float(found.x[1])
