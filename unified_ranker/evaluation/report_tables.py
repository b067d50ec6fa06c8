"""The tables of the report, as HTML. Every text that comes from outside is escaped here."""

from collections.abc import Iterable, Sequence
from html import escape

from unified_ranker.evaluation.metrics import METRICS, Interval
from unified_ranker.evaluation.report import StageCost
from unified_ranker.evaluation.results import PairedComparison, Row, Slice, TaskEvaluation
from unified_ranker.evaluation.slices import COLD_USER_EVENTS

METRIC_TITLES = {"recall@10": "Recall@10", "recall@100": "Recall@100", "ndcg@10": "NDCG@10", "mrr": "MRR"}
_DIMENSION_TITLES = {
    "country": "By country",
    "user": "By user",
    "item": "By item",
    "activity": "By activity of the user",
}
_DIMENSION_REMARKS = {
    "country": "the request's country, or the user's where the task fills it in",
    "user": f"cold: fewer than {COLD_USER_EVENTS} events before the request",
    "item": "cold: the target had no event in the whole log before the request",
    "activity": "events of the user before the request; 0 are also those of nobody known",
}
METRIC_HEADS = tuple(METRIC_TITLES[m] for m in METRICS)


def main_table(task: TaskEvaluation) -> str:
    """Return the table of all scorers on all requests: models first, best in bold, models below marked."""
    overall = task.overall
    if overall is None:
        return f'<p class="soft">No numbers: {escape(task.remark)}.</p>'
    below = {(c.model, c.metric) for c in task.comparisons if c.below}
    best = {metric: max(row.metrics[metric].value for row in overall.rows) for metric in METRICS}
    lines = []
    ordered = sorted(overall.rows, key=lambda row: row.kind == "baseline")
    previous = "baseline"
    for row in ordered:
        starts = row.kind == "baseline" and previous == "model"
        previous = row.kind
        cells = "".join(_cell(row.metrics[m], best[m], below=(row.scorer, m) in below) for m in METRICS)
        css = f"{row.kind}{' first-baseline' if starts else ''}"
        lines.append(f'<tr class="{css}"><th scope="row">{escape(row.scorer)}</th>{cells}</tr>')
    caption = f"{overall.requests:,} requests; below each number its 95 % bootstrap interval"
    return html_table(["scorer", *METRIC_HEADS], lines, caption)


def comparison_table(tasks: Sequence[TaskEvaluation]) -> str:
    """Return the table of differences between every model and the best baseline of each metric."""
    lines = []
    for task in tasks:
        for model in dict.fromkeys(c.model for c in task.comparisons):
            found = {c.metric: c for c in task.comparisons if c.model == model}
            cells = "".join(_difference(found[metric]) for metric in METRICS)
            title = f"{escape(task.task)}<small>{escape(model)}</small>"
            lines.append(f'<tr><th scope="row">{title}</th>{cells}</tr>')
    caption = "model minus best baseline, with the 95 % interval of the paired difference"
    return html_table(["task and model", *METRIC_HEADS], lines, caption)


def breakdown(task: TaskEvaluation, dimension: str) -> str:
    """Return the tables of one dimension: NDCG@10 at sight, the other metrics behind a click."""
    slices = [s for s in task.slices if s.dimension == dimension]
    if not slices or task.overall is None:
        return ""
    scorers = [row.scorer for row in sorted(task.overall.rows, key=lambda row: row.kind == "baseline")]
    shown = _breakdown_table(slices, scorers, "ndcg@10")
    hidden = "".join(_breakdown_table(slices, scorers, m) for m in METRICS if m != "ndcg@10")
    title, remark = _DIMENSION_TITLES[dimension], escape(_DIMENSION_REMARKS[dimension])
    return (
        f'<h3>{title}</h3><p class="caption">{remark}</p>{shown}'
        f"<details><summary>Recall and MRR {title.lower()}</summary>{hidden}</details>"
    )


def stages_table(stages: Sequence[StageCost]) -> str:
    """Return the table of stages with their time and memory."""
    longest = max((s.seconds for s in stages), default=0.0) or 1.0
    lines = []
    for stage in stages:
        share = 100 * stage.seconds / longest
        memory = "not measured" if stage.peak_memory_mib is None else f"{stage.peak_memory_mib:,.0f} MiB"
        lines.append(
            f'<tr><th scope="row">{escape(stage.name)}</th><td>{stage.seconds:,.1f} s</td>'
            f'<td><span class="meter"><i style="width:{share:.0f}%"></i></span></td><td>{memory}</td></tr>'
        )
    total = sum(s.seconds for s in stages)
    lines.append(f'<tr><th scope="row"><strong>all</strong></th><td>{total:,.1f} s</td><td></td><td></td></tr>')
    return html_table(["stage", "time", "", "peak memory"], lines, "")


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """Return names and values as a definition list."""
    return "<dl>" + "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in pairs) + "</dl>"


def _breakdown_table(slices: Sequence[Slice], scorers: Sequence[str], metric: str) -> str:
    lines = []
    for part in slices:
        by_name: dict[str, Row] = {row.scorer: row for row in part.rows}
        best = max((row.metrics[metric].value for row in part.rows), default=0.0)
        cells = "".join(
            _cell(by_name[name].metrics[metric], best, below=False) if by_name else "<td></td>" for name in scorers
        )
        lines.append(f'<tr><th scope="row">{escape(part.name)}</th><td>{part.requests:,}</td>{cells}</tr>')
    return html_table(["slice", "requests", *scorers], lines, METRIC_TITLES[metric])


def _cell(found: Interval, best: float, below: bool) -> str:
    css = " ".join(name for name, on in (("best", found.value == best > 0), ("below", below)) if on)
    attribute = f' class="{css}"' if css else ""
    bounds = f"{found.low:.3f} to {found.high:.3f}"
    return f"<td{attribute}><span>{found.value:.3f}</span><small>{bounds}</small></td>"


def _difference(found: PairedComparison) -> str:
    d = found.difference
    css = ' class="below"' if found.below else ""
    doubt = "" if found.certain else "<small>may be chance</small>"
    return (
        f"<td{css}><span>{_signed(d.value)}</span><small>{_signed(d.low)} to {_signed(d.high)}</small>{doubt}"
        f"<small>vs {escape(found.baseline)}</small></td>"
    )


def _signed(value: float) -> str:
    return f"{value:+.4f}".replace("-", "\N{MINUS SIGN}")


def html_table(heads: Sequence[str], lines: Sequence[str], caption: str) -> str:
    """Return a table from the texts of its head and its rows, which must be HTML already."""
    # Where a narrow screen may break Recall@10.
    cells = (f'<th scope="col">{escape(name).replace("@", "<wbr>@")}</th>' if name else "<td></td>" for name in heads)
    title = f'<p class="caption">{escape(caption)}</p>' if caption else ""
    rows = f"<thead><tr>{''.join(cells)}</tr></thead><tbody>{''.join(lines)}</tbody>"
    return f'{title}<div class="scroll"><table>{rows}</table></div>'
