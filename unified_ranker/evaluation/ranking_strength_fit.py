"""Ranking strength: the weight of the ranking head beside retrieval, fitted after training on a later window."""

from dataclasses import dataclass

import numpy as np
from scipy.special import logsumexp

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import DECISIVE_METRIC, METRICS, metric_values, rank_of_target
from unified_ranker.evaluation.ranked_candidates import ranked_candidates
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.prepare.examples import Examples

STRENGTHS = tuple(round(0.1 * n, 1) for n in range(21))


@dataclass(frozen=True)
class FittedStrength:
    """Result of the fit for a task.

    Attributes:
        requests: how many requests of the window it was fitted on.
        strength: the fitted one.
        ndcg: NDCG@10 on these requests, by strength.
    """

    requests: int
    strength: float
    ndcg: dict[float, float]


def fit_strength(encoder: RequestEncoder, rules: CandidateRules, requests: Examples, task: str) -> FittedStrength:
    """Fit the `ranking_strength` of `task` on `requests`; the model must declare 1.

    Of the strengths whose NDCG@10 lies within one standard error of the best one, paired by request, it takes the
    nearest to 1 (the one-standard-error rule; Hastie, Tibshirani, Friedman, The Elements of Statistical Learning,
    section 7.10): the head keeps its full weight unless the data speaks against it.

    Raises:
        ValueError: the model declares another strength, which scales its logits already.
    """
    model = encoder.model
    declared = model.config.tasks[task].ranking_strength
    if declared != 1:
        raise ValueError(f"`ranking_strength` of `{task}` must be 1 to be fitted. Received: {declared:g}.")
    at = list(model.config.tasks).index(task) + 1
    scale, weights = model.head.retrieval_scale.numpy()[at], model.score_weights.numpy()[at]
    gains: dict[float, list[np.ndarray]] = {strength: [] for strength in STRENGTHS}
    for part in ranked_candidates(encoder, rules, requests, task):
        begun = part.retrieval[..., None] * scale
        found = np.any(part.event, axis=2)
        for strength, kept in gains.items():
            logits = begun + strength * (part.ranked.logits - begun)
            # Logits as they are, because each strength would have a calibration of its own; see `log_mixture`: a head
            # of weight 0 takes no part.
            scores = logsumexp(logits[..., weights > 0], axis=2, b=weights[weights > 0])
            ranks = rank_of_target(scores, found.argmax(1), np.ones_like(found))
            kept.append(np.where(np.any(found, axis=1), metric_values(ranks)[:, METRICS.index(DECISIVE_METRIC)], 0.0))
    values = {strength: np.concatenate(kept) for strength, kept in gains.items()}
    return FittedStrength(len(requests), choose(values), {s: float(v.mean()) for s, v in values.items()})


def choose(values: dict[float, np.ndarray]) -> float:
    """Return the strength nearest to 1 within one standard error of the best; `values` `[requests]` by strength."""
    best = max(values, key=lambda strength: values[strength].mean())

    def is_as_good(strength: float) -> bool:
        lost = values[best] - values[strength]
        return bool(lost.mean() <= lost.std() / np.sqrt(len(lost)))

    # The best is among them.
    return min(filter(is_as_good, values), key=lambda strength: abs(strength - 1))
