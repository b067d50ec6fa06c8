"""Report of a project: its data, its evaluation, and the cost of its stages."""

import datetime
from pathlib import Path

from unified_ranker.config import Config, MovieLensSource
from unified_ranker.evaluation.report import DataFacts, IndexRecall, Report, StageCost
from unified_ranker.evaluation.report_files import write_report
from unified_ranker.project.evaluate_stage import read_evaluation
from unified_ranker.project.holdout import blend_weights
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.train_stage import trained_model
from unified_ranker.release.provenance import git_commit, library_versions

MEASURED = ("prepare", "train", "evaluate")
"""Stages whose time and memory the report shows."""


def write_project_report(context: StageContext, directory: Path, release: str, index: IndexRecall | None) -> None:
    """Write `report.json` and `report.html` of the evaluated project and its index into `directory`."""
    config, prepared, trained = context.config, prepared_data(context), trained_model(context)
    source = config.project.data
    times = prepared.events.timestamp
    stamps = {name: stamp_of(context.workspace.stage(name)) for name in MEASURED}
    report = Report(
        project=config.project.name,
        description=config.project.description,
        release=release,
        created_at=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        config_digest=config.digest(),
        text_encoder=text_encoder_of(config),
        data=DataFacts(
            source="MovieLens 100K" if isinstance(source, MovieLensSource) else str(source.events),
            rows=stamps["prepare"]["rows"],
            first=int(times.min()),
            train_end=prepared.split.train_end,
            validation_end=prepared.split.validation_end,
            last=int(times.max()),
            fitted_until=trained.fit_end,
        ),
        evaluation=read_evaluation(context),
        curves={name: list(values) for name, values in trained.curves.items() if "/" in name or name == "loss"},
        stages=[StageCost(name, stamp["seconds"], stamp["peak_memory_mib"]) for name, stamp in stamps.items()],
        index=index,
        blends=blend_weights(trained),
        git_commit=git_commit(),
        versions=library_versions(),
    )
    write_report(report, directory)


def text_encoder_of(config: Config) -> str:
    """Name the kind of the text encoder, its teacher where it has one, and whether it was trained on pairs."""
    text = config.towers.item.text
    return f"{text.describe()}{', trained on pairs first' if text.pairs.steps else ''}"
