"""Stage `evaluate`: the model and the baselines on held-out requests."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from unified_ranker.config import Config
from unified_ranker.evaluation.overall_metrics import OverallMetrics
from unified_ranker.evaluation.results import JOINT, Contender, Evaluation
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.run_stage import run_stage
from unified_ranker.project.stage_context import StageContext, StageResult
from unified_ranker.project.train_stage import up_to_date_model

if TYPE_CHECKING:
    from unified_ranker.evaluation.baselines.base import Baseline
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.training.trained import TrainedModel

EVALUATION_FILE = "evaluation.json"
KeepContenders = Callable[[str, Sequence[Contender]], None]
"""Called with a task's contenders, which hold the rank of every request's target."""


def evaluate_stage(context: StageContext) -> StageResult:
    """Measure the model and the baselines on the declared slice."""

    def make(draft: Path, notes: dict[str, Any]) -> str:
        from unified_ranker.evaluation.baselines.selection import fit_baselines

        trained, prepared, config = up_to_date_model(context), prepared_data(context), context.config
        tasks = list(context.tasks or config.tasks)
        baselines = fit_baselines(prepared, tasks, trained.fit_end, config.project.evaluation.baselines)
        evaluation = measure_contenders(prepared, config, tasks, trained, baselines)
        text = json.dumps(evaluation.to_json(), indent=2, allow_nan=False)
        (draft / EVALUATION_FILE).write_text(text, encoding="utf-8")
        return "; ".join(_headline(evaluation))

    return run_stage(context, "evaluate", context.keys.evaluate, make)


def measure_contenders(
    prepared: "Prepared",
    config: Config,
    tasks: Sequence[str],
    trained: "TrainedModel | None",
    baselines: Sequence["Baseline"] = (),
    *,
    diagnosed: bool = True,
    keep: KeepContenders | None = None,
) -> Evaluation:
    """Rank the catalogue by a model and by baselines for the requests of the declared slice.

    Args:
        prepared: the data.
        config: the declarations.
        tasks: to measure.
        trained: the model; None: baselines alone.
        baselines: fitted.
        diagnosed: whether to measure recall of retrieval and calibration, too.
        keep: is called with the rank of every request's target.
    """
    from unified_ranker.evaluation.candidates import CandidateRules
    from unified_ranker.evaluation.diagnosis import diagnose_part
    from unified_ranker.evaluation.protocol import Scorer, evaluate
    from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer

    part, rules = config.project.evaluation.part, CandidateRules(prepared, config)
    encoder = None if trained is None else RequestEncoder(trained.model, prepared, trained.quality)
    models: list[Scorer] = [] if encoder is None else [JointScorer(encoder, rules), TwoTowerScorer(encoder)]
    evaluation = evaluate([*models, *baselines], prepared, config, tasks, part, keep)
    if encoder is None or not diagnosed:
        return evaluation
    found = [replace(t, diagnosis=diagnose_part(encoder, rules, prepared, t.task, part)) for t in evaluation.tasks]
    return replace(evaluation, tasks=tuple(found))


def read_evaluation(context: StageContext) -> Evaluation:
    """Read the result of the stage."""
    file = context.workspace.stage("evaluate") / EVALUATION_FILE
    return Evaluation.from_json(json.loads(file.read_text(encoding="utf-8")))


def _headline(evaluation: Evaluation) -> list[str]:
    found = OverallMetrics.of(evaluation).of_scorer(JOINT)
    lines = [f"{task} NDCG@10 {values['ndcg@10']:.3f}" for task, values in found.items()]
    return lines or [f"no requests in the {evaluation.part} slice"]
