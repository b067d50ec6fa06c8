"""Training curves, as HTML."""

from collections.abc import Mapping, Sequence

from unified_ranker.evaluation.plots import curves


def training_card(series: Mapping[str, Sequence[float | None]]) -> str:
    """Return the card of values by epoch; series whose names agree before a `/` share a plot."""
    groups: dict[str, dict[str, Sequence[float | None]]] = {}
    for name, values in series.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest or name] = values
    drawn = "".join(curves(name, values, f"curve-{n}") for n, (name, values) in enumerate(groups.items()))
    content = f'<div class="plots">{drawn}</div>' if drawn else '<p class="soft">No curves were recorded.</p>'
    return f'<section class="card" id="training"><h2>Training</h2>{content}</section>'
