"""A comparison as one HTML page that needs nothing else."""

from collections.abc import Sequence
from html import escape

from unified_ranker.evaluation.comparison.comparison_page_parts import behind, slice_tables
from unified_ranker.evaluation.comparison.comparison_summary import (
    DECISIVE,
    ENOUGH,
    Line,
    ModelComparison,
    TaskComparison,
)
from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.plots import bars
from unified_ranker.evaluation.report_diagnosis import HOW_CALIBRATED
from unified_ranker.evaluation.report_style import STYLE
from unified_ranker.evaluation.report_tables import METRIC_HEADS, METRIC_TITLES, facts, html_table
from unified_ranker.evaluation.report_training import training_card

_NAMES = {"joint": "joint", "alone": "this task alone", "ablation": "ablation", "variant": "variant"}


def render_comparison(found: ModelComparison) -> str:
    """Return the comparison as an HTML document."""
    title = escape(f"{found.project}: one model against specialists")
    parts = [
        _header(found),
        _verdicts(found.tasks),
        *(_task(task, f"task-{number}", task.task in found.derived) for number, task in enumerate(found.tasks)),
        _transfers(found),
        training_card(found.curves),
        _costs(found),
        _method(found),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{title}</title><style>{STYLE}</style></head>\n<body>\n" + "\n".join(parts) + "\n</body></html>\n"
    )


def _header(found: ModelComparison) -> str:
    pairs = [
        ("configuration", found.config_digest),
        ("measured on", f"{found.part} slice"),
        ("seeds", str(found.seeds)),
        ("text encoder", found.text_encoder),
        ("derived tasks", ", ".join(found.derived) or "none"),
    ]
    links = "".join(f'<a href="#task-{n}">{escape(t.task)}</a>' for n, t in enumerate(found.tasks))
    return (
        f"<header><h1>{escape(found.project)}: one model against specialists</h1><nav>{links}"
        f'<a href="#transfer">transfer</a><a href="#training">training</a><a href="#cost">time and memory</a>'
        f'<a href="#method">how to read this</a></nav>{facts(pairs)}</header>'
    )


def _verdicts(tasks: Sequence[TaskComparison]) -> str:
    lines = []
    for task in tasks:
        verdict = task.verdict
        alone = _times(verdict.specialist, ENOUGH, any(line.kind == "alone" for line in task.lines))
        best = _times(verdict.over_baseline, 1.0, bool(verdict.baseline))
        named = f"{escape(task.task)}<small>best baseline: {escape(verdict.baseline or 'none')}</small>"
        lines.append((verdict.worse, f'<tr><th scope="row">{named}</th>{alone}{best}</tr>'))
    # What is bad stands first.
    ordered = [line for _, line in sorted(lines, key=lambda pair: not pair[0])]
    head = ("task", "joint ÷ alone", "joint ÷ best baseline")
    table = html_table(head, ordered, f"ratios of {METRIC_TITLES[DECISIVE]}, with 95 % intervals over requests")
    bad = any(worse for worse, _ in lines)
    words = "The joint model misses its promise" if bad else "The joint model keeps its promise on every task"
    return f'<section class="alert {"bad" if bad else "good"}"><h2>{words}</h2>{table}</section>'


def _task(task: TaskComparison, anchor: str, derived: bool) -> str:
    best = {m: max(line.metrics[m].value for line in task.lines) for m in METRICS}
    rows = [_line(line, best) for line in task.lines]
    head = ("model", *METRIC_HEADS, "÷ joint")
    shown = [line for line in task.lines if "two towers" not in line.name]
    picture = bars(
        METRIC_TITLES[DECISIVE],
        [line.name for line in shown],
        ["baseline" if line.kind == "baseline" else "model" for line in shown],
        [line.metrics[DECISIVE] for line in shown],
        anchor,
    )
    badge = '<span class="badge">derived queries, not user queries</span>' if derived else ""
    return (
        f'<section class="card" id="{anchor}"><div class="heading"><h2>{escape(task.task)}</h2>{badge}'
        f'<span class="soft">{task.requests:,} requests</span></div>{html_table(head, rows, "")}'
        f'<div class="plots">{picture}</div>{slice_tables(task)}{behind(task)}</section>'
    )


def _line(line: Line, best: dict[str, float]) -> str:
    seeds = f"{line.seeds} seeds, {line.spread[0]:.3f} to {line.spread[1]:.3f}" if line.seeds > 1 else "one seed"
    under = "baseline" if line.kind == "baseline" else f"{_NAMES[line.kind]}; {seeds}"
    cells = "".join(_number(line.metrics[m], best[m]) for m in METRICS)
    ratio = "none" if line.ratio is None else _bounded(line.ratio)
    css = "model" if line.kind == "joint" else ""
    return (
        f'<tr class="{css}"><th scope="row">{escape(line.name)}<small>{under}</small></th>{cells}<td>{ratio}</td></tr>'
    )


def _number(found: Interval, best: float) -> str:
    css = ' class="best"' if found.value == best > 0 else ""
    return f"<td{css}>{_bounded(found)}</td>"


def _bounded(found: Interval) -> str:
    return f"<span>{found.value:.3f}</span><small>{found.low:.3f} to {found.high:.3f}</small>"


def _times(ratio: Interval | None, enough: float, there: bool) -> str:
    """Return the cell of a verdict; `there` says whether there is a model to compare with."""
    if ratio is None:
        return f"<td>{'finds nothing' if there else 'none'}</td>"
    css = ' class="below"' if ratio.value < enough else ""
    doubt = "<small>may be chance</small>" if ratio.low < enough < ratio.high else ""
    return f"<td{css}>{_bounded(ratio)}{doubt}</td>"


def _transfers(found: ModelComparison) -> str:
    rows = [
        f'<tr><th scope="row">{escape(t.task)}</th><td>{escape(t.other)}</td><td>{t.divergence:.3f}</td>'
        f"<td>{t.items:.0%}</td><td>{t.positives:.0%}</td></tr>"
        for t in found.transfers
    ]
    head = ("task", "other", "popularity divergence", "items shared", "positives on them")
    text = (
        "Jensen-Shannon divergence of the tasks' popularities in bits: 0 = alike, 1 = nothing in common. Shared items "
        "and their share of the task's positives. Where tasks are alike and share items, joint training can help."
    )
    return f'<section class="card" id="transfer"><h2>Transfer</h2>{html_table(head, rows, text)}</section>'


def _costs(found: ModelComparison) -> str:
    rows = [
        f'<tr><th scope="row">{escape(c.run)}</th><td>{c.seed}</td><td>{c.train_seconds:,.0f} s</td>'
        f"<td>{c.evaluate_seconds:,.0f} s</td><td>{c.peak_memory_mib:,} MiB</td></tr>"
        for c in found.costs
    ]
    head = ("run", "seed", "training", "measuring", "peak memory")
    return f'<section class="card" id="cost"><h2>Time and memory</h2>{html_table(head, rows, "")}</section>'


def _method(found: ModelComparison) -> str:
    return f"""<section class="card" id="method"><h2>How to read this</h2>
<p>All models rank the full catalogue for the same requests of the {escape(found.part)} slice, as of each request.
“Alone” is the same network with the other tasks' examples left out of every batch: the same number of steps, the same
passes over the task's own examples. Ablations change one declaration of the joint model.</p>
<p>Numbers are means over requests and seeds. Intervals are the 2.5 and 97.5 percentiles of bootstrap resamples of the
requests, shared by all rows, so that ratios are paired; the range of the seeds is stated below each name. “÷ joint”
compares with the joint model of the same seeds. ▾ marks what misses: the joint model below {ENOUGH} of the
specialist, or below the best baseline.</p><p>{HOW_CALIBRATED}</p></section>"""
