"""Page of the report: one HTML file with styles and plots inside, without scripts or external parts."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from markupsafe import Markup

from unified_ranker.evaluation.blend_weights import TaskBlend
from unified_ranker.evaluation.html_pages import render
from unified_ranker.evaluation.metrics import DECISIVE_METRIC, METRICS
from unified_ranker.evaluation.page_views import (
    METRIC_HEADS,
    METRIC_TITLES,
    PACKAGE,
    Breakdown,
    breakdowns_of,
    curve_pictures,
    depth_heads,
    depths_of,
)
from unified_ranker.evaluation.plots import bars, lifts, reliability
from unified_ranker.evaluation.report import IndexRecall, Report
from unified_ranker.evaluation.results import JOINT, PairedComparison, RetrievalRecall, Row, Slice, TaskEvaluation
from unified_ranker.evaluation.verdict import verdicts_of
from unified_ranker.tasks.head_kinds.reliability import BINS


@dataclass(frozen=True)
class TaskView:
    """View of one task: its numbers, and the pictures and lists that the page shows with them.

    Attributes:
        task: the numbers.
        anchor: id of its section.
        scorers: names, models first.
        below: scorer and metric of every model that is below the best baseline.
        breakdowns: slices by dimension, where there are requests.
        blend: what decides the order; None without a fit.
        bars: a picture of each metric.
        reliability: a picture of each head.
    """

    task: TaskEvaluation
    anchor: str
    scorers: list[str]
    below: set[tuple[str, str]]
    breakdowns: list[Breakdown[Slice]]
    blend: TaskBlend | None
    bars: list[Markup]
    reliability: list[Markup]


def render_report(report: Report) -> str:
    """Return the report as an HTML document."""
    tasks = report.evaluation.tasks
    compared = [task for task in tasks if task.comparisons]
    blends = {blend.task: blend for blend in report.blends}
    return render(
        PACKAGE,
        "report.html",
        title=f"{report.project} {report.release}: report",
        report=report,
        header=_header(report),
        views=[_view(task, blends.get(task.task), f"task-{number}") for number, task in enumerate(tasks)],
        verdicts=verdicts_of(report.evaluation),
        lift=_lift(tasks),
        compared=compared,
        below=any(c.below for task in compared for c in task.comparisons),
        derived=[task.task for task in tasks if task.derived],
        index_settings="" if report.index is None else _settings(report.index),
        curves=curve_pictures(report.curves),
        longest=max((stage.seconds for stage in report.stages), default=0.0) or 1.0,
        titles=METRIC_TITLES,
        heads=METRIC_HEADS,
        bins=BINS,
        ordered=_ordered,
        best=_best,
        by_model=_by_model,
        weights=_weights,
        depths_of=depths_of,
        depth_heads=depth_heads,
        day=_day,
    )


def _header(report: Report) -> list[tuple[str, str]]:
    data, evaluation = report.data, report.evaluation
    return [
        ("release", report.release),
        ("made", report.created_at),
        ("configuration", report.config_digest),
        ("code", report.git_commit or "not in a git repository"),
        ("data", data.source),
        ("rows", ", ".join(f"{count:,} {name}" for name, count in data.rows.items())),
        ("data window", f"{_day(data.first)} to {_day(data.last)}"),
        ("fitted on", f"before {_moment(data.fitted_until)}"),
        ("validation", f"{_moment(data.train_end)} to {_moment(data.validation_end)}"),
        ("measured on", f"{evaluation.part} part, from {_moment(evaluation.start)}"),
        ("text encoder", report.text_encoder),
        ("derived tasks", ", ".join(task.task for task in evaluation.tasks if task.derived) or "none"),
    ]


def _view(task: TaskEvaluation, blend: TaskBlend | None, anchor: str) -> TaskView:
    rows = _ordered(task.overall.rows) if task.overall else []
    names, kinds = [row.scorer for row in rows], [row.kind for row in rows]
    heads = task.diagnosis.calibration if task.diagnosis else ()
    return TaskView(
        task=task,
        anchor=anchor,
        scorers=names,
        below={(c.model, c.metric) for c in task.comparisons if c.below},
        breakdowns=list(breakdowns_of(task.slices).values()),
        blend=blend,
        bars=[
            bars(METRIC_TITLES[metric], names, kinds, [row.metrics[metric] for row in rows], f"{anchor}-{number}")
            for number, metric in enumerate(METRICS)
            if rows
        ],
        reliability=[
            reliability(
                f"{head.head}: calibration",
                [one.predicted for one in head.bins],
                [one.happened for one in head.bins],
                f"{anchor}-cal-{number}",
                *([] if head.kind == "event" else [("mean prediction", "mean outcome")]),
            )
            for number, head in enumerate(heads)
            if head.bins
        ],
    )


def _lift(tasks: Sequence[TaskEvaluation]) -> Markup | None:
    """Draw the joint model over the best baseline of each task; None where no task has both."""
    found = {
        task.task: c.ratio
        for task in tasks
        for c in task.comparisons
        if (c.model, c.metric) == (JOINT, DECISIVE_METRIC) and c.ratio is not None
    }
    return lifts("NDCG@10 over the best baseline", found, "lift") if found else None


def _ordered(rows: Sequence[Row]) -> list[Row]:
    """Return models before baselines."""
    return sorted(rows, key=lambda row: row.kind == "baseline")


def _best(rows: Sequence[Row], metric: str) -> float:
    return max((row.metrics[metric].value for row in rows), default=0.0)


def _by_model(task: TaskEvaluation) -> Iterator[tuple[str, list[PairedComparison]]]:
    """Yield each model with its comparisons, in the order of the metrics."""
    for model in dict.fromkeys(c.model for c in task.comparisons):
        found = {c.metric: c for c in task.comparisons if c.model == model}
        yield model, [found[metric] for metric in METRICS]


def _weights(row: RetrievalRecall) -> str:
    return ", ".join(f"{name} {value:g}" for name, value in row.values.items() if value) or "all zero"


def _settings(index: IndexRecall) -> str:
    return ", ".join(
        f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}" for name, value in index.settings.items()
    )


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
