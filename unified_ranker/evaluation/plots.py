"""Plots of the report, as SVG that takes its colours from the page's style sheet.

matplotlib draws with placeholder colours, which then become CSS variables, so that one plot fits light, dark and
printed pages. matplotlib is imported inside the functions, so that an evaluation without a report does not load it.
"""

import io
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from unified_ranker.evaluation.metrics import Interval
from unified_ranker.evaluation.results import ScorerKind

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# Placeholder colours, which nothing else in a figure has.
_INK, _GRID, _MODEL, _BASELINE, _WORSE = "#010203", "#040506", "#070809", "#0a0b0c", "#0a0b0d"
_SERIES = ("#0d0e01", "#0d0e02", "#0d0e03", "#0d0e04", "#0d0e05", "#0d0e06")
_VARIABLES = {
    _INK: "var(--ink)",
    _GRID: "var(--line)",
    _MODEL: "var(--model)",
    _BASELINE: "var(--baseline)",
    _WORSE: "var(--bad)",
    **{colour: f"var(--series-{n})" for n, colour in enumerate(_SERIES, 1)},
}
_DASHES = ("-", "--", ":", "-.")
_SETTINGS: Any = {
    "svg.fonttype": "none",
    # A scorer's name may hold a dollar sign, which would start a formula.
    "text.parse_math": False,
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _GRID,
    "axes.titlesize": 10,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "grid.color": _GRID,
    "axes.spines.top": False,
    "axes.spines.right": False,
}
_WIDTH = 4.2
"""Width of a plot in inches: about that of a phone's screen, so that its text is readable there."""
_LONGEST, _LETTER = 26, 0.078
"""Most letters of a scorer's name beside its bar, and the width of a letter in inches."""


def bars(title: str, names: Sequence[str], kinds: Sequence[ScorerKind], values: Sequence[Interval], key: str) -> Markup:
    """Draw one metric of several scorers as horizontal bars with their intervals.

    Args:
        title: the metric.
        names: scorers, top to bottom.
        kinds: whether each is a model or a baseline; sets the colour.
        values: means and intervals.
        key: unique in the page; the picture's element ids start with it.

    Returns:
        An `<svg>` element.
    """
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    with rc_context(_SETTINGS):
        labels = [_label(name) for name in names]
        left = 0.15 + _LETTER * max(map(len, labels))
        figure, axes = _figure(0.65 + 0.3 * len(names), left=left, bottom=0.3)
        rows = range(len(names))
        means = [v.value for v in values]
        axes.barh(rows, means, height=0.62, color=[_MODEL if k == "model" else _BASELINE for k in kinds])
        _whiskers(axes, means, values)
        axes.set_yticks(rows, labels)
        axes.invert_yaxis()
        axes.set_xlim(left=0)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(title, loc="left", fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.6)
        axes.set_axisbelow(True)
        spoken = ", ".join(f"{n} {v:.3f}" for n, v in zip(names, means, strict=True))
        return _svg(figure, key, f"{title}: {spoken}")


def lifts(title: str, ratios: Mapping[str, Interval], key: str) -> Markup:
    """Draw how many times as good something is by task, with its interval, as bars from 1 on. Returns `<svg>`."""
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    with rc_context(_SETTINGS):
        labels = [_label(name) for name in ratios]
        figure, axes = _figure(0.65 + 0.3 * len(labels), left=0.15 + _LETTER * max(map(len, labels)), bottom=0.3)
        rows, means = range(len(labels)), [found.value for found in ratios.values()]
        colours = [_MODEL if mean >= 1 else _WORSE for mean in means]
        axes.barh(rows, [mean - 1 for mean in means], left=1, height=0.62, color=colours)
        _whiskers(axes, means, list(ratios.values()))
        axes.axvline(1, color=_INK, linewidth=1.1)
        axes.set_yticks(rows, labels)
        axes.invert_yaxis()
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.set_title(title, loc="left", fontweight="bold")
        axes.tick_params(axis="y", length=0)
        axes.grid(axis="x", linewidth=0.6)
        axes.set_axisbelow(True)
        spoken = ", ".join(f"{name} {mean:.2f} times" for name, mean in zip(ratios, means, strict=True))
        return _svg(figure, key, f"{title}: {spoken}")


def curves(title: str, series: dict[str, Sequence[float | None]], key: str) -> Markup:
    """Draw values by epoch, from epoch 1, one line per series; None leaves a gap. Returns `<svg>`."""
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    with rc_context(_SETTINGS):
        figure, axes = _figure(2.6, left=0.55, bottom=0.5)
        for number, (name, values) in enumerate(series.items()):
            axes.plot(
                range(1, len(values) + 1),
                [float("nan") if v is None else v for v in values],
                color=_SERIES[number % len(_SERIES)],
                linestyle=_DASHES[number // len(_SERIES) % len(_DASHES)],
                marker="o",
                markersize=3,
                linewidth=1.6,
                label=name,
            )
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel("epoch")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(linewidth=0.6)
        if list(series) != [title]:
            axes.legend(frameon=False, fontsize=8.5, ncols=1 + (len(series) > 3), loc="best")
        return _svg(figure, key, f"{title} by epoch: {', '.join(series)}")


def reliability(
    title: str,
    predicted: Sequence[float],
    happened: Sequence[float],
    key: str,
    words: tuple[str, str] = ("mean probability", "share of events"),
) -> Markup:
    """Plot the observed value of each bin over the predicted one; the line is where both are equal.

    `words` are the titles of the two axes.
    """
    from matplotlib import rc_context
    from matplotlib.ticker import MaxNLocator

    with rc_context(_SETTINGS):
        figure, axes = _figure(2.6, left=0.65, bottom=0.5)
        end = max(*predicted, *happened, 1e-9)
        axes.plot([0, end], [0, end], color=_GRID, linewidth=1.2)
        axes.plot(predicted, happened, color=_MODEL, marker="o", markersize=4, linewidth=1.2)
        axes.set_title(title, loc="left", fontweight="bold")
        axes.set_xlabel(words[0])
        axes.set_ylabel(words[1])
        for axis in (axes.xaxis, axes.yaxis):
            axis.set_major_locator(MaxNLocator(4))
        axes.grid(linewidth=0.6)
        return _svg(figure, key, f"{title}: {words[1]} by {words[0]}")


def _label(name: str) -> str:
    return name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"


def _whiskers(axes: Any, means: Sequence[float], values: Sequence[Interval]) -> None:
    """Draw the intervals of horizontal bars."""
    # The mean of a small slice can lie outside its percentiles, and matplotlib refuses negative lengths.
    low, high = [max(v.value - v.low, 0.0) for v in values], [max(v.high - v.value, 0.0) for v in values]
    axes.errorbar(means, range(len(means)), xerr=[low, high], fmt="none", ecolor=_INK, elinewidth=1.1, capsize=2.5)


def _figure(height: float, left: float, bottom: float) -> tuple["Figure", Any]:
    """Return a figure and its axes; lengths in inches."""
    from matplotlib.figure import Figure

    # Not pyplot, which keeps global state and needs a display.
    figure = Figure(figsize=(_WIDTH, height))
    # The margins are set here, because matplotlib's automatic layout draws everything twice.
    right, top = 0.15, 0.3
    box = (left / _WIDTH, bottom / height, (_WIDTH - left - right) / _WIDTH, (height - bottom - top) / height)
    return figure, figure.add_axes(box)


def _svg(figure: "Figure", key: str, description: str) -> Markup:
    from matplotlib import rc_context

    out = io.StringIO()
    blank = {"Date": None, "Creator": None, "Format": None, "Type": None}
    with rc_context({"svg.hashsalt": key}):
        figure.savefig(out, format="svg", transparent=True, metadata=blank)
    drawing = out.getvalue()
    # The page sets the font; an element within HTML needs no namespaces.
    drawing = re.sub(r"<style\b.*?</style>", "", drawing, flags=re.DOTALL)
    drawing = re.sub(r" font-family: [^;\"]*;", "", drawing)
    drawing = drawing.replace("xlink:href", "href")
    drawing = re.sub(r'(\sid="|url\(#|href="#)', rf"\g<1>{key}-", drawing)
    for colour, variable in _VARIABLES.items():
        drawing = drawing.replace(colour, variable)
    box = re.search(r'viewBox="([\d. ]+)"', drawing)
    if box is None:
        raise RuntimeError("matplotlib must give an SVG with a `viewBox`. Received: none.")
    content = drawing[drawing.index(">", box.end()) + 1 :].strip()
    # Without a size, which the page sets; the view box keeps the proportions.
    head = Markup('<svg class="plot" viewBox="{}" role="img" aria-label="{}">').format(box[1], description)
    return head + Markup(content)  # noqa: S704, drawn by matplotlib, which escapes names
