"""Fit of the blend: how much everything that is known of a candidate counts, on requests that no model has learnt from.

A linear listwise model, fitted in seconds on a slice that is later than all training. It stays at least as good on this
slice as the best of its channels alone.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from unified_ranker.core.arrays import MISSING, Floats, Ints, Mask
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.protocol import drawn
from unified_ranker.evaluation.ranked_candidates import ranked_candidates
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.prepare.examples import Examples
from unified_ranker.tasks.blend import BLEND, FittedBlend, standardised
from unified_ranker.towers.tensorflow import tf

logger = logging.getLogger(__name__)

ENOUGH_FOUND = 1500
"""Requests with their target among the candidates that are enough for a fit."""
RANKED_AT_ONCE = 500
"""Requests that are ranked before it is seen whether they are enough."""
_MOST_RANKED = 3000
_MOST_SCORES = 1_000_000_000
"""Requests of a task that are ranked for a fit at most, and scores of all items for them: a million items have 1,000
requests, which take some minutes."""
LEAST_REQUESTS = 30
"""Requests with their target among the candidates below which nothing is fitted."""
_PENALTY = 0.002
_PENALTY_OF_FEW = 10.0
"""L2 penalty of a factor: `_PENALTY` and, as of a prior, `_PENALTY_OF_FEW` over the number of requests. Where only 200
targets were to be found (grocery) .05 was best, where there were 950 (deskdrop) .0005 to .01 did alike."""
_AT = 10


@dataclass(frozen=True)
class FitRequests:
    """Requests with candidates, of which one was the target.

    Attributes:
        numbers: standardised channels, `[requests, candidates, channels]`.
        present: which slots hold a candidate, `[requests, candidates]`.
        target: slot of the target, `[requests]`.
        weight: how much a request counts, `[requests]`.
    """

    numbers: Floats
    present: Mask
    target: Ints
    weight: Floats


def fit_blend(
    encoder: RequestEncoder,
    rules: CandidateRules,
    requests: Examples,
    task: str,
    enough: int = ENOUGH_FOUND,
    part: int = RANKED_AT_ONCE,
) -> FittedBlend | None:
    """Fit the blend of `task` on `requests`, which lie behind all that the encoder's model has learnt from.

    Where few targets are found, more requests are ranked: up to `most_ranked`.

    Args:
        encoder: encodes requests with the model.
        rules: of the candidates.
        requests: of the task.
        task: its name.
        enough: requests with their target among the candidates that are enough.
        part: requests that are ranked before it is seen whether they are enough.

    Returns:
        The fit; None where too few requests have their target among the candidates.
    """
    blend = encoder.model.blend
    given, ranked = requests_to_fit(encoder, rules, requests, task, enough, part)
    if given is None:
        return None
    factors, share = fit_factors(given), len(given.target) / ranked
    alone = zip(blend.channels, _alone(given), strict=True)
    ndcg = {name: float(value * share) for name, value in alone}
    return FittedBlend(task, ranked, share, factors, {BLEND: share * mean_ndcg(given, factors), **ndcg})


def most_ranked(items: int) -> int:
    """Return how many requests of a task are ranked at most for a fit, over so many items.

    What the evaluation declares for its report has no say in it.
    """
    return max(min(_MOST_RANKED, _MOST_SCORES // max(items, 1)), RANKED_AT_ONCE)


def fit_factors(given: FitRequests) -> Floats:
    """Return the factors of the channels, `[channels]`: none negative, and no channel alone has a higher NDCG@10."""
    factors, alone = _least_loss(given), _alone(given)
    best = int(np.argmax(alone))
    return factors if mean_ndcg(given, factors) >= alone[best] else _led_by(given, factors, best)


def fit_blends(
    encoder: RequestEncoder, rules: CandidateRules, requests: Examples, tasks: Sequence[str]
) -> list[FittedBlend]:
    """Fit the blend of each of `tasks` that has enough of `requests`; the others go without."""
    fitted = []
    for task in tasks:
        found = fit_blend(encoder, rules, requests.take(requests.task == task), task)
        if found is None:
            logger.warning("%s: too few requests to fit a blend on: the ranking head decides alone", task)
            continue
        fitted.append(found)
        best = found.best_channel
        logger.info(
            "%s: blend NDCG@10 %.4f, best channel alone %s %.4f", task, found.ndcg[BLEND], best, found.ndcg[best]
        )
    return fitted


def requests_to_fit(
    encoder: RequestEncoder,
    rules: CandidateRules,
    requests: Examples,
    task: str,
    enough: int = ENOUGH_FOUND,
    part: int = RANKED_AT_ONCE,
) -> tuple[FitRequests | None, int]:
    """Rank requests, in an order drawn by the project's seed, until enough targets are found; see `fit_blend`.

    Returns:
        Those with their target among the candidates, None for too few; and how many were ranked.
    """
    config = encoder.model.config
    requests = drawn(requests, task, config, most_ranked(len(encoder.prepared.items)))
    values = dict(zip(config.heads, encoder.model.score_weights.numpy()[[*config.tasks].index(task) + 1], strict=True))
    # Traced once for all parts.
    numbers_of = tf.function(
        standardised,
        input_signature=[
            tf.TensorSpec([None, None, len(encoder.model.blend.channels)], tf.float32),
            tf.TensorSpec([None, None], tf.bool),
        ],
        autograph=False,
    )
    order = np.random.default_rng(config.project.seed).permutation(len(requests))
    parts: list[tuple[Floats, Mask, Ints, Floats]] = []
    ranked = 0
    while ranked < len(requests) and sum(len(columns[2]) for columns in parts) < enough:
        chosen = requests.take(np.sort(order[ranked : ranked + part]))
        ranked += len(chosen)
        for one in ranked_candidates(encoder, rules, chosen, task):
            target = one.ranked.position_of(one.requests.item)
            rows = np.flatnonzero(target != MISSING)
            present = one.ranked.present[rows]
            numbers = numbers_of(tf.constant(one.ranked.channels[rows]), tf.constant(present)).numpy()
            weight = np.maximum([values[head] for head in one.requests.head[rows]], 0).astype(np.float32)
            parts.append((numbers, present, target[rows], weight))
    # A head that is worth nothing to the task teaches nothing.
    if sum(np.count_nonzero(columns[3]) for columns in parts) < LEAST_REQUESTS:
        return None, ranked
    return FitRequests(*(np.concatenate(columns) for columns in zip(*parts, strict=True))), ranked


def _least_loss(given: FitRequests) -> Floats:
    """Return the factors of least softmax cross-entropy with the penalty, `[channels]`, none of them negative.

    More of a channel never counts against a candidate: that keeps what chance finds in forty channels out (free factors
    lost 3 to 6 % of NDCG@10 on a log with few findable targets, grocery, and won nothing on deskdrop).
    """
    rows, total = np.arange(len(given.target)), float(given.weight.sum())
    strength = _PENALTY + _PENALTY_OF_FEW / len(given.target)

    def loss(factors: np.ndarray) -> tuple[float, np.ndarray]:
        scores = np.where(given.present, given.numbers @ factors.astype(np.float32), -np.inf)
        scores -= scores.max(1, keepdims=True)
        chances = np.exp(scores)
        sums = chances.sum(1)
        lost = np.log(sums) - scores[rows, given.target]
        chances /= sums[:, None]
        chances[rows, given.target] -= 1.0
        chances *= given.weight[:, None] / total
        slope = np.tensordot(chances, given.numbers, axes=2)
        mean = float((given.weight * lost).sum()) / total
        return mean + strength * float(factors @ factors), slope + 2 * strength * factors

    begin = np.zeros(given.numbers.shape[2])
    bounds = [(0.0, None)] * len(begin)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 200})
    return found.x.astype(np.float32)


def _led_by(given: FitRequests, factors: Floats, best: int) -> Floats:
    """Return the factors, with that of the best channel raised until they rank at least as well as it does alone."""
    alone = np.zeros_like(factors)
    alone[best] = 1.0
    goal, more = mean_ndcg(given, alone), max(float(np.abs(factors).max()), 1.0)
    for doubled in range(8):
        led = factors + np.float32(more * 2**doubled) * alone
        if mean_ndcg(given, led) >= goal:
            return led
    return alone


def _alone(given: FitRequests) -> Floats:
    """Return NDCG@10 of each channel by itself, `[channels]`."""
    return np.array([mean_ndcg(given, one) for one in np.eye(given.numbers.shape[2], dtype=np.float32)])


def mean_ndcg(given: FitRequests, factors: Floats) -> float:
    """Return NDCG@10 of the sums by `factors` `[channels]`, ties by their mean rank."""
    scores = np.where(given.present, given.numbers @ factors, -np.inf)
    own = scores[np.arange(len(scores)), given.target][:, None]
    rank = 1 + (scores > own).sum(1) + ((scores == own).sum(1) - 1) / 2
    return float(np.where(rank <= _AT, 1 / np.log2(1 + rank), 0.0).mean())
