"""The report as one HTML page that needs nothing else: styles and plots are in it, scripts there are none."""

from collections.abc import Sequence
from datetime import UTC, datetime
from html import escape

from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.plots import bars
from unified_ranker.evaluation.report import Report
from unified_ranker.evaluation.report_diagnosis import HOW_CALIBRATED, diagnosis, index_card
from unified_ranker.evaluation.report_style import STYLE
from unified_ranker.evaluation.report_tables import (
    METRIC_TITLES,
    breakdown,
    comparison_table,
    facts,
    main_table,
    stages_table,
)
from unified_ranker.evaluation.report_training import training_card
from unified_ranker.evaluation.results import TaskEvaluation

_DERIVED = "derived queries, not user queries"


def render_report(report: Report) -> str:
    """Return the report as an HTML document."""
    tasks = report.evaluation.tasks
    title = escape(f"{report.project} {report.release}: report")
    parts = [
        _header(report),
        _verdict(tasks),
        _derived(tasks),
        *(_task(task, f"task-{number}") for number, task in enumerate(tasks)),
        index_card(report.index) if report.index else "",
        training_card(report.curves),
        _cost(report),
        _method(report),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(filter(None, parts))
        + "\n</body></html>\n"
    )


def _header(report: Report) -> str:
    data = report.data
    rows = "".join(f"{', ' if n else ''}{count:,} {name}" for n, (name, count) in enumerate(data.rows.items()))
    pairs = [
        ("release", report.release),
        ("made", report.created_at),
        ("configuration", report.config_digest),
        ("code", report.git_commit or "not in a git repository"),
        ("data", data.source),
        ("rows", rows),
        ("data window", f"{_day(data.first)} to {_day(data.last)}"),
        ("fitted on", f"before {_moment(data.fitted_until)}"),
        ("validation", f"{_moment(data.train_end)} to {_moment(data.validation_end)}"),
        ("measured on", f"{report.evaluation.part} part, from {_moment(report.evaluation.start)}"),
        ("text encoder", report.text_encoder),
        ("derived tasks", ", ".join(t.task for t in report.evaluation.tasks if t.derived) or "none"),
    ]
    links = "".join(f'<a href="#task-{n}">{escape(t.task)}</a>' for n, t in enumerate(report.evaluation.tasks))
    described = f'<p class="soft">{escape(report.description)}</p>' if report.description else ""
    return (
        f"<header><h1>{escape(report.project)}</h1>{described}"
        f'<nav>{links}<a href="#training">training</a><a href="#cost">time and memory</a>'
        f'<a href="#method">how to read this</a></nav>{facts(pairs)}</header>'
    )


def _verdict(tasks: Sequence[TaskEvaluation]) -> str:
    """Say first what is bad: where a model is below the best baseline."""
    compared = [t for t in tasks if t.comparisons]
    if not compared:
        return '<section class="alert mark"><h2>No model was compared with a baseline</h2></section>'
    table = comparison_table(compared)
    if any(c.below for t in compared for c in t.comparisons):
        return f'<section class="alert bad"><h2>A model is below the best baseline</h2>{table}</section>'
    return f'<section class="alert good"><h2>No model is below the best baseline</h2>{table}</section>'


def _derived(tasks: Sequence[TaskEvaluation]) -> str:
    names = ", ".join(escape(t.task) for t in tasks if t.derived)
    if not names:
        return ""
    return (
        f'<section class="alert mark"><h2>Derived tasks: {names}</h2><p>Their requests are {_DERIVED}: '
        "a rule made them from the log. Their numbers say how well the rule is undone, not how well people "
        "are served.</p></section>"
    )


def _task(task: TaskEvaluation, anchor: str) -> str:
    badge = f'<span class="badge">{_DERIVED}</span>' if task.derived else ""
    sampled = f"{task.requests:,} of {task.available:,} requests"
    notes = [f"{escape(name)}: {escape(note)}." for name, note in task.notes.items()]
    if task.unreachable:
        reasons = ", ".join(f"{count:,} {escape(reason)}" for reason, count in task.unreachable.items())
        notes.append(f"Targets that were no candidates, counted as misses: {reasons}.")
    remarks = "".join(f'<p class="soft">{note}</p>' for note in notes)
    breakdowns = "".join(breakdown(task, dimension) for dimension in ("activity", "country", "user", "item"))
    behind = diagnosis(task.diagnosis, anchor) if task.diagnosis else ""
    return (
        f'<section class="card" id="{anchor}"><div class="heading"><h2>{escape(task.task)}</h2>{badge}'
        f'<span class="soft">{sampled}</span></div>'
        f"{main_table(task)}{_bars(task, anchor)}{remarks}{breakdowns}{behind}</section>"
    )


def _bars(task: TaskEvaluation, anchor: str) -> str:
    if task.overall is None:
        return ""
    rows = sorted(task.overall.rows, key=lambda row: row.kind == "baseline")
    names, kinds = [row.scorer for row in rows], [row.kind for row in rows]
    drawn = [
        bars(METRIC_TITLES[m], names, kinds, [row.metrics[m] for row in rows], f"{anchor}-{n}")
        for n, m in enumerate(METRICS)
    ]
    return f'<div class="plots">{"".join(drawn)}</div>'


def _cost(report: Report) -> str:
    table = stages_table(report.stages) if report.stages else '<p class="soft">No stage was timed.</p>'
    versions = facts(report.versions.items()) if report.versions else ""
    folded = f"<details><summary>Library versions</summary>{versions}</details>" if versions else ""
    return f'<section class="card" id="cost"><h2>Time and memory</h2>{table}{folded}</section>'


def _method(report: Report) -> str:
    found = report.evaluation
    notes = "".join(f"<p>{escape(note)}</p>" for note in report.notes)
    return f"""<section class="card" id="method"><h2>How to read this</h2>{notes}
<p>Every request of the sample ranks the full catalogue of {found.items:,} items, not a sample of negatives.
Candidates are the items that existed at the time of the request, without the source item and the query item,
and, where the task says so, without what the user had engaged with before. Histories and counts hold only
what came strictly before. Each request has one target. Recall@k is the share of requests whose target is
among the first k. NDCG@10 gives 1 / log₂(1 + rank) down to rank 10. MRR is the mean of 1 / rank. Equal scores
share their mean rank.</p> <p>Intervals are the 2.5 and 97.5 percentiles of {found.bootstrap_samples:,}
bootstrap resamples of the requests (seed {found.seed}). Differences are paired: both scorers are resampled on
the same requests. ▾ marks a model below the best baseline of that metric; bold is the best of a table's
column, or of a row where the columns are scorers. Baselines are fitted on the positives strictly before the
end of the model's own data.</p><p>{HOW_CALIBRATED}</p></section>"""


def _day(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d")


def _moment(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")
