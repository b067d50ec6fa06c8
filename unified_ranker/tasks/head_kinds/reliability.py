"""Reliability of a head: its predictions against observed values, over bins of equal size. Pure NumPy.

A head is calibrated when, over all (request, candidate) pairs with an output of about p, the mean observed value is p;
for an event that is its share of the pairs.
"""

import numpy as np

from unified_ranker.core.arrays import Floats, Mask
from unified_ranker.tasks.head_kinds.base import Bin, HeadReport

BINS = 15
"""Bins of equal mass (Nixon et al., arXiv 1904.01685, section 3: adaptive calibration error)."""


def reliability_of(head: str, predicted: Floats, happened: Floats | Mask) -> HeadReport:
    """Compare predictions `[pairs]`, such as probabilities, with observed values `[pairs]`; at least one pair."""
    order = np.argsort(predicted, kind="stable")
    parts = [part for part in np.array_split(order, BINS) if len(part)]
    bins = tuple(Bin(len(p), float(predicted[p].mean()), float(happened[p].mean())) for p in parts)
    error = sum(b.pairs * abs(b.predicted - b.happened) for b in bins) / len(order)
    return HeadReport(head, len(order), float(happened.mean()), float(predicted.mean()), float(error), bins)
