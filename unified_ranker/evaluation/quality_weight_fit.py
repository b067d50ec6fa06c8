"""Quality weights of the query vector, fitted after training on a later window (Etsy, arXiv 2306.04833, section 4)."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import optuna

from unified_ranker.core.progress import Progress
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import rank_of_target
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.prepare.examples import Examples

LARGEST = 2.0
"""Largest weight. Cosines lie in [-1, 1] and quality features in about [0, 1], so 2 outweighs any cosine."""


@dataclass(frozen=True)
class FittedWeights:
    """Result of the fit for a task.

    Attributes:
        task: its name.
        requests: how many requests of the window it was fitted on.
        weights: by quality feature.
        recall: Recall@k with no weights, with the declared ones and with the fitted ones.
        at: the k of Recall@k, the number of candidates that retrieval passes to the ranker.
    """

    task: str
    requests: int
    weights: dict[str, float]
    recall: dict[str, float]
    at: int


class RetrievalScores:
    """Requests of one task in a window: cosines and quality of items, computed once for all weights."""

    def __init__(self, encoder: RequestEncoder, rules: CandidateRules, requests: Examples) -> None:
        """Score `requests` once."""
        chunks = encoder.chunks(requests)
        self.quality = encoder.quality.matrix(requests.timestamp)
        self.cosines = np.concatenate([c.cosines for c in chunks])
        self.declared = encoder.model.quality_weights.numpy()[int(chunks[0].state.task[0])]
        self._allowed, self._target = rules.allowed(requests), requests.item

    def recall(self, weights: np.ndarray, at: int) -> float:
        """Return Recall@`at` of the two towers with quality `weights` `[features]`."""
        ranks = rank_of_target(self.cosines + self.quality @ weights, self._target, self._allowed)
        return float((ranks <= at).mean())


def fit_weights(
    scores: RetrievalScores,
    task: str,
    names: Sequence[str],
    trials: int,
    seed: int,
    at: int = 100,
) -> FittedWeights:
    """Search the weights with the highest Recall@`at` by Optuna's TPE; it begins with the declared ones and zeros.

    Args:
        scores: of the window.
        task: its name.
        names: the quality features, in order of the vector.
        trials: how many weights to try.
        seed: of the search.
        at: the k of Recall@k.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=seed))
    study.enqueue_trial(dict.fromkeys(names, 0.0))
    declared = np.clip(scores.declared, 0, LARGEST)
    study.enqueue_trial(dict(zip(names, declared.tolist(), strict=True)))

    def objective(trial: optuna.Trial) -> float:
        weights = np.array([trial.suggest_float(name, 0.0, LARGEST) for name in names], np.float32)
        return scores.recall(weights, at)

    with Progress(f"tune {task}", trials, "trials") as progress:
        study.optimize(objective, n_trials=trials, callbacks=[lambda *_: progress.advance()])
    none = scores.recall(np.zeros(len(names), np.float32), at)
    best = {name: round(float(value), 3) for name, value in study.best_params.items()}
    recall = {
        "none": none,
        "declared": scores.recall(scores.declared, at),
        "fitted": scores.recall(np.array([best[name] for name in names], np.float32), at),
    }
    return FittedWeights(task, len(scores.cosines), best, recall, at)
