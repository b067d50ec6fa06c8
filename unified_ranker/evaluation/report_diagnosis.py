"""Diagnosis cards of the report, as HTML: retrieval alone, calibration, index."""

from html import escape

from unified_ranker.evaluation.calibration import BINS
from unified_ranker.evaluation.plots import reliability
from unified_ranker.evaluation.report import IndexRecall
from unified_ranker.evaluation.report_tables import html_table
from unified_ranker.evaluation.results import Diagnosis

HOW_CALIBRATED = f"""Probabilities are measured on all pairs of a request of the slice and a candidate that the service
would rank for it, also where the target is not among them. A pair is an event of a head where the request ended in that
event with that candidate. The expected calibration error is the mean of |mean probability - share of events| over
{BINS} bins of equally many pairs, weighted by their pairs. The two numbers of each head were fitted after training, on
requests at the end of the fit window."""


def diagnosis(found: Diagnosis, anchor: str) -> str:
    """Return the tables of one task: retrieval by quality weights, calibration by head; `anchor` is unique."""
    return retrieval_table(found) + calibration_table(found) + _plots(found, anchor)


def retrieval_table(found: Diagnosis) -> str:
    """Return Recall of the two towers alone, with the weights of the quality vector and without."""
    depths = sorted({depth for row in found.retrieval for depth in row.recall})
    lines = []
    for row in found.retrieval:
        shown = ", ".join(f"{name} {value:g}" for name, value in row.values.items() if value) or "all zero"
        cells = "".join(f"<td>{row.recall[depth]:.3f}</td>" for depth in depths)
        under = "" if row.weights == "none" else f"<small>{escape(shown)}</small>"
        lines.append(f'<tr><th scope="row">{escape(row.weights)}{under}</th>{cells}</tr>')
    caption = f"the two towers alone on {found.requests:,} requests, by the weights of the quality vector"
    return "<h3>Retrieval</h3>" + html_table(
        ["quality weights", *(f"Recall@{depth}" for depth in depths)], lines, caption
    )


def calibration_table(found: Diagnosis) -> str:
    """Return the calibration of each head."""
    lines = [
        f'<tr><th scope="row">{escape(c.head)}</th><td>{c.pairs:,}</td><td>{c.happened:.5f}</td>'
        f"<td>{c.predicted:.5f}</td><td>{c.error:.5f}</td></tr>"
        for c in found.calibration
    ]
    names = ("head", "pairs", "share of events", "mean probability", "calibration error")
    caption = "probabilities of the heads on the candidates that are ranked, see how to read this"
    return "<h3>Calibration</h3>" + html_table(names, lines, caption)


def index_card(found: IndexRecall) -> str:
    """Return the card of the approximate index against exact search."""
    which = "searches by it" if found.used else "searches exactly, being small; measured is what ScaNN would find"
    settings = ", ".join(f"{name} {value:,}" if isinstance(value, int) else f"{name} {value}"
                         for name, value in found.settings.items())  # fmt: skip
    return (
        f'<section class="card" id="index"><h2>Index</h2><p>{escape(found.type)} finds <strong>{found.recall:.4f}'
        f"</strong> of the {found.at} items that exact search puts first, over {found.queries:,} recorded requests "
        f"({escape(settings)}). "
        f"The release {which}.</p></section>"
    )


def _plots(found: Diagnosis, anchor: str) -> str:
    drawn = [
        reliability(
            f"{c.head}: calibration", [b.predicted for b in c.bins], [b.happened for b in c.bins], f"{anchor}-cal-{n}"
        )
        for n, c in enumerate(found.calibration)
    ]
    return f'<div class="plots">{"".join(drawn)}</div>'
