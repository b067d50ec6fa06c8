"""Parts that the pages of report and comparison share: titles of metrics, and plots of the training curves."""

from collections.abc import Iterable, Mapping, Sequence

from markupsafe import Markup

from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.plots import curves
from unified_ranker.evaluation.results import Diagnosis

PACKAGE = "unified_ranker.evaluation"
"""The package that holds the templates."""
METRIC_TITLES = {"recall@10": "Recall@10", "recall@100": "Recall@100", "ndcg@10": "NDCG@10", "mrr": "MRR"}
METRIC_HEADS = [METRIC_TITLES[metric] for metric in METRICS]


def curve_pictures(series: Mapping[str, Sequence[float | None]]) -> list[Markup]:
    """Plot values by epoch; series whose names agree before a `/` share a plot."""
    groups: dict[str, dict[str, Sequence[float | None]]] = {}
    for name, values in series.items():
        group, _, rest = name.partition("/")
        groups.setdefault(group, {})[rest or name] = values
    return [curves(name, values, f"curve-{n}") for n, (name, values) in enumerate(groups.items())]


def depths_of(diagnoses: Iterable[Diagnosis]) -> list[int]:
    """Return the cut-offs k at which Recall@k of retrieval was measured."""
    return sorted({depth for found in diagnoses for row in found.retrieval for depth in row.recall})


def depth_heads(depths: Iterable[int]) -> list[str]:
    """Return the column titles of a table of Recall@k."""
    return [f"Recall@{depth}" for depth in depths]
