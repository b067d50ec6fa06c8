"""Ranking metrics over the full catalogue, with bootstrap intervals. Pure NumPy.

Every request has one target, so all metrics follow from its rank among the allowed items: Recall@k is whether the
rank is at most k, NDCG@10 is 1 / log2(1 + rank) down to rank 10, and MRR is 1 / rank without a cut. A target
that is no candidate has rank infinity and scores 0 everywhere.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Ranks = npt.NDArray[np.float64]
Values = npt.NDArray[np.float64]

METRICS = ("recall@10", "recall@100", "ndcg@10", "mrr")
DECISIVE_METRIC = "ndcg@10"
"""Metric by which models are compared where one number must decide."""
CONFIDENCE = 0.95
_RESAMPLES_AT_ONCE = 2_000_000
"""Rows that `bootstrap` draws at a time: 16 MB, about the size of the processor's caches."""


@dataclass(frozen=True)
class Interval:
    """A mean and the bounds of its 95 % bootstrap interval."""

    value: float
    low: float
    high: float


def rank_of_target(scores: npt.NDArray, target: npt.NDArray[np.integer], allowed: npt.NDArray[np.bool_]) -> Ranks:
    """Return the rank of each request's target among its allowed items; 1 is best.

    Ties take the rank that random tie-breaking would give on average: 1 + greater + ties / 2. A scorer that
    gives every item the same score therefore gains nothing from the order of the catalogue.

    Args:
        scores: `[batch, items]`, higher is better; infinities are ordinary scores.
        target: `[batch]`, item indices.
        allowed: `[batch, items]`, the candidates.

    Returns:
        `[batch]`, infinity where the target is not allowed.

    Raises:
        ValueError: a score is NaN, or the shapes do not fit.
    """
    if scores.shape != allowed.shape or target.shape != scores.shape[:1]:
        raise ValueError(
            "`scores` and `allowed` must be [batch, items] and `target` [batch]. "
            f"Received: {scores.shape}, {allowed.shape}, {target.shape}."
        )
    if np.isnan(scores).any():
        rows = np.flatnonzero(np.isnan(scores).any(axis=1))
        raise ValueError(f"`scores` must not be NaN. Received: NaN in {len(rows)} rows, first in row {rows[0]}.")
    rows = np.arange(len(target))
    known = target >= 0
    column = np.where(known, target, 0)
    own = scores[rows, column][:, None]
    greater = np.count_nonzero((scores > own) & allowed, axis=1)
    equal = np.count_nonzero((scores == own) & allowed, axis=1)
    reachable = known & allowed[rows, column]
    return np.where(reachable, 1.0 + greater + (equal - 1) / 2, np.inf)


def metric_values(ranks: Ranks) -> Values:
    """Return `[requests, metrics]`, in the order of `METRICS`, from `ranks` `[requests]`."""
    in_ten = ranks <= 10
    gain = np.zeros(len(ranks))
    gain[in_ten] = 1.0 / np.log2(1.0 + ranks[in_ten])
    return np.stack([in_ten, ranks <= 100, gain, 1.0 / ranks], axis=1)


def decisive(ranks: Ranks) -> Values:
    """Return `DECISIVE_METRIC` of each of `ranks` `[requests]`."""
    return metric_values(ranks)[:, METRICS.index(DECISIVE_METRIC)]


def bootstrap(values: Values, samples: int, seed: int | Sequence[int]) -> Values:
    """Return the means of `samples` resamples of the requests, `[samples, columns]`.

    All columns of `values` `[requests, columns]` share the resamples. Metrics of several scorers in one array
    are therefore paired: the difference of two columns has the interval of a paired bootstrap.

    Raises:
        ValueError: there is no request to resample.
    """
    count = len(values)
    if count == 0:
        raise ValueError("`values` must hold at least one request. Received: none.")
    random = np.random.default_rng(seed)
    means = np.empty((samples, values.shape[1]))
    step = max(1, _RESAMPLES_AT_ONCE // count)
    measured = values.astype(np.float32)
    for start in range(0, samples, step):
        size = min(step, samples - start)
        drawn = random.integers(count, size=(size, count))
        drawn += (np.arange(size) * count)[:, None]
        # The counts of draws times the values: one matrix product instead of a gather for each column.
        times = np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count)
        means[start : start + size] = times.astype(np.float32) @ measured
    return means / count


def ratio_interval(values: Values, resampled: Values, own: int, other: int) -> Interval | None:
    """Return the mean of column `own` over that of column `other`, with the percentiles of the resampled ratios.

    Resamples in which the other is zero are left out.

    Args:
        values: `[requests, columns]`.
        resampled: their means, `[samples, columns]`.
        own: column above.
        other: column below.

    Returns:
        The ratio; None where the other's mean is zero.
    """
    below = float(values[:, other].mean())
    if not below:
        return None
    something = resampled[:, other] > 0
    tail = 100 * (1 - CONFIDENCE) / 2
    ratios = resampled[something, own] / resampled[something, other]
    low, high = np.percentile(ratios, [tail, 100 - tail])
    return Interval(float(values[:, own].mean()) / below, float(low), float(high))


def interval(values: npt.NDArray[np.floating], resampled: npt.NDArray[np.floating]) -> Interval:
    """Return the mean of `values` `[requests]` with the percentiles of its `resampled` means `[samples]`."""
    tail = 100 * (1 - CONFIDENCE) / 2
    low, high = np.percentile(resampled, [tail, 100 - tail])
    return Interval(float(np.mean(values)), float(low), float(high))
