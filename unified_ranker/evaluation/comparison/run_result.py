"""Result of one run of a comparison: what a model, or the baselines, found for the measured requests."""

from dataclasses import dataclass, field

import numpy as np

from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.results import Diagnosis


@dataclass(frozen=True)
class RunResult:
    """Ranks that a run gave, and what it took.

    Attributes:
        run: which.
        ranks: rank of every sampled request's target `[requests]`, by task and scorer.
        train_seconds: of training.
        evaluate_seconds: of measuring.
        peak_memory_mib: of its process.
        curves: one value an epoch for each loss.
        diagnoses: what lies behind the ranks, by task; empty for baselines.
    """

    run: PlannedRun
    ranks: dict[str, dict[str, np.ndarray]]
    train_seconds: float
    evaluate_seconds: float
    peak_memory_mib: int
    curves: dict[str, list[float]]
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
