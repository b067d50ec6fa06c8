"""Platt's two numbers, which turn the logits of a head into calibrated probabilities. Pure NumPy."""

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize
from scipy.special import expit, logit

from unified_ranker.core.arrays import Floats, Mask

_STEEPEST = 7.0
"""Bound of |log scale|: the output of a head that predicts nothing becomes constant, and its sign stays."""


def fit_platt(logits: Floats, event: Mask) -> tuple[float, float]:
    """Find (a, b) for which sigmoid(exp(a) · logit + b) fits the events best; the order of logits is kept.

    Args:
        logits: `[pairs]`, at least one.
        event: `[pairs]`.

    Reference: Platt (1999), section 2.2: labels are smoothed by one pseudo-count each, so that a head whose event
    never happened has a finite answer.
    """
    many = int(event.sum())
    target = np.where(event, (many + 1) / (many + 2), 1 / (len(event) - many + 2))
    # Centred, or the search stops early: a softmax leaves the offset of the logits open, and it may be large.
    offset = logits.mean()
    x = logits - offset

    def loss(parameters: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.float64]]:
        a, b = parameters
        z = np.exp(a) * x + b
        residual = (expit(z) - target) / len(x)
        value = float((np.logaddexp(0, z) - target * z).mean())
        return value, np.array([(residual * x).sum() * np.exp(a), residual.sum()])

    start = np.array([0.0, logit(target.mean())])
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=[(-_STEEPEST, _STEEPEST), (None, None)])
    scale, shift = found.x
    return float(scale), float(shift - np.exp(scale) * offset)
