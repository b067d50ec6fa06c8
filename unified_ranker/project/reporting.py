"""Measures a trained project against the baselines and writes its report."""

import datetime
import json
from dataclasses import replace
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.config import Config, MovieLensSource
from unified_ranker.evaluation.baselines.selection import fit_baselines
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.diagnosis import diagnose_part
from unified_ranker.evaluation.protocol import Scorer, evaluate
from unified_ranker.evaluation.report import DataFacts, IndexRecall, Report, StageCost
from unified_ranker.evaluation.report_files import write_report
from unified_ranker.evaluation.results import Evaluation
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer
from unified_ranker.release.provenance import LIBRARIES, git_commit

if TYPE_CHECKING:
    from unified_ranker.project.stages import Pipeline

EVALUATION = "evaluation.json"
STAGES = ("prepare", "train", "evaluate")


def evaluate_project(pipeline: "Pipeline", directory: Path) -> str:
    """Evaluate model and baselines on the test slice, write `evaluation.json`; returns a line of summary."""
    trained, prepared, config = pipeline.trained, pipeline.prepared, pipeline.config
    tasks = list(pipeline.tasks or config.tasks)
    rules = CandidateRules(prepared, config)
    encoder = RequestEncoder(trained.model, prepared, trained.quality)
    models: list[Scorer] = [JointScorer(encoder, rules), TwoTowerScorer(encoder)]
    baselines = fit_baselines(prepared, tasks, trained.fit_end, config.project.evaluation.baselines)
    part = config.project.evaluation.part
    evaluation = evaluate([*models, *baselines], prepared, config, tasks, part=part)
    found = [replace(t, diagnosis=diagnose_part(encoder, rules, prepared, t.task, part)) for t in evaluation.tasks]
    evaluation = replace(evaluation, tasks=tuple(found))
    text = json.dumps(evaluation.to_json(), indent=2, allow_nan=False)
    (directory / EVALUATION).write_text(text, encoding="utf-8")
    return "; ".join(_headline(evaluation))


def read_evaluation(directory: Path) -> Evaluation:
    """Read what `evaluate_project` wrote."""
    return Evaluation.from_json(json.loads((directory / EVALUATION).read_text(encoding="utf-8")))


def write_project_report(pipeline: "Pipeline", directory: Path, release: str, index: IndexRecall | None) -> None:
    """Write `report.json` and `report.html` of the evaluated project and its index into `directory`."""
    config, prepared = pipeline.config, pipeline.prepared
    source = config.project.data
    times = prepared.events.timestamp
    report = Report(
        project=config.project.name,
        description=config.project.description,
        release=release,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        config_digest=config.digest(),
        text_encoder=text_encoder_of(config),
        data=DataFacts(
            source="MovieLens 100K" if isinstance(source, MovieLensSource) else str(source.events),
            rows=pipeline.stamp("prepare")["rows"],
            first=int(times.min()),
            train_end=prepared.split.train_end,
            validation_end=prepared.split.validation_end,
            last=int(times.max()),
            fitted_until=pipeline.trained.fit_end,
        ),
        evaluation=read_evaluation(pipeline.workspace.stage("evaluate")),
        curves={
            name: list(values) for name, values in pipeline.trained.curves.items() if "/" in name or name == "loss"
        },
        stages=[
            StageCost(name, stamp["seconds"], stamp["peak_memory_mib"])
            for name, stamp in ((name, pipeline.stamp(name)) for name in STAGES)
        ],
        index=index,
        git_commit=git_commit(),
        versions={name: metadata.version(name) for name in LIBRARIES},
    )
    write_report(report, directory)


def text_encoder_of(config: Config) -> str:
    """Name the kind of the text encoder, its teacher where it has one, and whether it was trained on pairs."""
    text = config.towers.item.text
    return f"{text.describe()}{', trained on pairs first' if text.pairs.steps else ''}"


def metrics_of(evaluation: Evaluation) -> dict[str, dict[str, dict[str, float]]]:
    """Return the overall metrics by task, scorer and name."""
    return {
        task.task: {
            row.scorer: {name: round(interval.value, 5) for name, interval in row.metrics.items()}
            for row in (task.overall.rows if task.overall else ())
        }
        for task in evaluation.tasks
    }


def _headline(evaluation: Evaluation) -> list[str]:
    lines = []
    for task, scorers in metrics_of(evaluation).items():
        model = scorers.get("joint model")
        if model:
            lines.append(f"{task} NDCG@10 {model['ndcg@10']:.3f}")
    return lines or ["no requests in the test slice"]
