"""Result of one run of a comparison: the ranks of a model, or of the baselines, and the cost."""

from dataclasses import dataclass, field

import numpy as np

from unified_ranker.evaluation.comparison.plan import PlannedRun
from unified_ranker.evaluation.results import Diagnosis


@dataclass(frozen=True)
class RunResult:
    """Ranks of a run, its time and its memory.

    Attributes:
        run: the planned run.
        ranks: rank of every sampled request's target `[requests]`, by task and scorer.
        train_seconds: of training.
        evaluate_seconds: of measuring.
        peak_memory_mib: of its process.
        curves: for each loss a value for each epoch.
        diagnoses: recall of retrieval and calibration, by task; empty for baselines.
    """

    run: PlannedRun
    ranks: dict[str, dict[str, np.ndarray]]
    train_seconds: float
    evaluate_seconds: float
    peak_memory_mib: int
    curves: dict[str, list[float]]
    diagnoses: dict[str, Diagnosis] = field(default_factory=dict)
