"""Report of a project: its data, its evaluation, and the cost of its stages."""

import datetime
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from unified_ranker.config import Config
from unified_ranker.evaluation.blend_weights import TaskBlend
from unified_ranker.evaluation.report import DataFacts, IndexRecall, Report, StageCost
from unified_ranker.evaluation.report_files import write_report
from unified_ranker.project.evaluate_stage import read_evaluation
from unified_ranker.project.holdout import blend_weights
from unified_ranker.project.prepare_stage import prepared_data
from unified_ranker.project.stage_cache import stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.release.provenance import git_commit, library_versions

if TYPE_CHECKING:
    from unified_ranker.training.trained import TrainedModel

MEASURED = ("prepare", "train", "evaluate")
"""Stages whose time and memory the report shows."""


@dataclass(frozen=True)
class TrainingFacts:
    """Facts about a trained model, which outlive it.

    Attributes:
        fit_end: the end of its fit window, seconds.
        curves: a value for each epoch, by name of the loss.
        blends: what its final score blends, by task.
        settings: values of `training` that a race found, by name.
    """

    fit_end: int
    curves: dict[str, list[float]]
    blends: tuple[TaskBlend, ...]
    settings: dict[str, float]

    @classmethod
    def of(cls, trained: "TrainedModel") -> "TrainingFacts":
        """Return the facts about a model."""
        return cls(trained.fit_end, trained.curves, blend_weights(trained), trained.settings)

    @property
    def notes(self) -> list[str]:
        """Remarks about the training for readers of a report."""
        found = ", ".join(f"`{name}: {value:g}`" for name, value in self.settings.items())
        return [f"A race of settings found {found} to be better than what is declared."] if found else []


def write_project_report(
    context: StageContext, directory: Path, release: str, index: IndexRecall | None, trained: TrainingFacts
) -> None:
    """Write `report.json` and `report.html` of the evaluated project and its index into `directory`."""
    config, prepared = context.config, prepared_data(context)
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
            source=config.project.data.title,
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
        notes=[*config.project.data.notes, *trained.notes],
        blends=trained.blends,
        git_commit=git_commit(),
        versions=library_versions(),
    )
    write_report(report, directory)


def text_encoder_of(config: Config) -> str:
    """Name the kind of the text encoder, its teacher where it has one, and whether it was trained on pairs."""
    text = config.towers.item.text
    return f"{text.describe()}{', trained on pairs first' if text.pairs.steps else ''}"
