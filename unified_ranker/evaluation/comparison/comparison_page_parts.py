"""Lower part of a comparison's page: slices of the requests, retrieval and calibration of every model."""

from html import escape

from unified_ranker.evaluation.comparison.comparison_summary import DECISIVE, TaskComparison
from unified_ranker.evaluation.report_tables import html_table

TITLES = {
    "activity": "By events of the user before the request",
    "user": "Cold users (fewer than 5 events) and warm ones",
    "item": "Cold targets (no event before the request) and warm ones",
    "country": "By country",
}


def slice_tables(task: TaskComparison) -> str:
    """Return NDCG@10 of models and best baseline by slice: activity at sight, the others behind a click."""
    kept = ["joint model", "alone", "joint, two towers", "two towers", task.verdict.baseline]
    names = [line.name for line in task.lines if line.name in kept]
    shown, hidden = _table(task, "activity", names), [_table(task, d, names) for d in TITLES if d != "activity"]
    if not shown:
        return ""
    return f"{shown}<details><summary>Users, items and countries</summary>{''.join(hidden)}</details>"


def behind(task: TaskComparison) -> str:
    """Return retrieval by quality weights, and calibration by head, of every model's first seed."""
    if not task.diagnoses:
        return ""
    depths = sorted({d for found in task.diagnoses.values() for row in found.retrieval for d in row.recall})
    retrieval = [
        f'<tr><th scope="row">{escape(name)}<small>quality weights: {escape(row.weights)}</small></th>'
        + "".join(f"<td>{row.recall[depth]:.3f}</td>" for depth in depths)
        + "</tr>"
        for name, found in task.diagnoses.items()
        for row in found.retrieval
    ]
    calibration = [
        f'<tr><th scope="row">{escape(name)}</th><td>{escape(c.head)}</td><td>{c.happened:.5f}</td>'
        f"<td>{c.predicted:.5f}</td><td>{c.error:.5f}</td></tr>"
        for name, found in task.diagnoses.items()
        for c in found.calibration
    ]
    heads = ["model", *(f"Recall@{depth}" for depth in depths)]
    names = ("model", "head", "share of events", "mean probability", "calibration error")
    requests = max(found.requests for found in task.diagnoses.values())
    return (
        "<details><summary>Retrieval alone, and calibration</summary>"
        + html_table(heads, retrieval, f"two towers alone, {requests:,} requests")
        + html_table(names, calibration, "probabilities of the heads on the candidates that are ranked")
        + "</details>"
    )


def _table(task: TaskComparison, dimension: str, names: list[str]) -> str:
    rows = []
    for part in task.slices:
        if part.dimension != dimension:
            continue
        best = max((part.values[n] for n in names if n in part.values), default=0.0)
        cells = "".join(_cell(part.values.get(name), best) for name in names)
        rows.append(f'<tr><th scope="row">{escape(part.name)}</th><td>{part.requests:,}</td>{cells}</tr>')
    if not rows:
        return ""
    return f"<h3>{TITLES[dimension]}</h3>" + html_table(
        ["slice", "requests", *names], rows, f"{DECISIVE.upper()}, means over requests and seeds"
    )


def _cell(value: float | None, best: float) -> str:
    if value is None:
        return "<td></td>"
    css = ' class="best"' if value == best > 0 else ""
    return f"<td{css}>{value:.3f}</td>"
