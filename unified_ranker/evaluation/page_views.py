"""Parts that the pages of report and comparison share: titles, breakdowns by dimension, and training curves."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from markupsafe import Markup

from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.plots import curves
from unified_ranker.evaluation.results import Diagnosis
from unified_ranker.evaluation.slices import COLD_USER_EVENTS, Dimension

PACKAGE = "unified_ranker.evaluation"
"""The package that holds the templates."""
METRIC_TITLES = {"recall@10": "Recall@10", "recall@100": "Recall@100", "ndcg@10": "NDCG@10", "mrr": "MRR"}
METRIC_HEADS = [METRIC_TITLES[metric] for metric in METRICS]
_BREAKDOWNS: Mapping[Dimension, tuple[str, str]] = {
    "activity": ("By activity of the user", "events of the user before the request; 0 includes anonymous requests"),
    "country": ("By country", "the request's country, or the user's where the task imputes it"),
    "user": ("By user", f"cold: fewer than {COLD_USER_EVENTS} events before the request"),
    "item": ("By item", "cold: the target had no event before the request"),
    "event": ("By event", "event that the request ended in, by the head that it teaches"),
}
"""Title and remark of each dimension, in the order of a page."""


class _SliceOfRequests(Protocol):
    @property
    def dimension(self) -> Dimension: ...


SliceType = TypeVar("SliceType", bound=_SliceOfRequests)


@dataclass(frozen=True)
class Breakdown(Generic[SliceType]):
    """The requests of a task sliced by one dimension."""

    title: str
    remark: str
    slices: list[SliceType]


def breakdowns_of(slices: Sequence[SliceType]) -> dict[Dimension, Breakdown[SliceType]]:
    """Group the slices of a task by their dimension, in the order of a page; those without a slice are left out."""
    found = {name: [part for part in slices if part.dimension == name] for name in _BREAKDOWNS}
    return {name: Breakdown(*_BREAKDOWNS[name], parts) for name, parts in found.items() if parts}


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
