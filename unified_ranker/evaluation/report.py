"""Report of a release: its data, its declarations, its metrics and its cost.

`Report` is the schema of `report.json`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import TypeAdapter

from unified_ranker.evaluation.blend_weights import TaskBlend
from unified_ranker.evaluation.results import Evaluation


@dataclass(frozen=True)
class DataFacts:
    """The data behind a release.

    Attributes:
        source: its origin, in words.
        rows: row counts by table or part, such as events, items, users, examples.
        first: time of the first event, seconds since 1970 UTC.
        train_end: end (exclusive) of the training part, seconds.
        validation_end: end (exclusive) of the validation slice, seconds.
        last: time of the last event, seconds.
        fitted_until: end (exclusive) of the data that the released model was fitted on, seconds.
    """

    source: str
    rows: dict[str, int]
    first: int
    train_end: int
    validation_end: int
    last: int
    fitted_until: int


@dataclass(frozen=True)
class StageCost:
    """One stage of the build; `peak_memory_mib` is its highest resident memory, None if not measured."""

    name: str
    seconds: float
    peak_memory_mib: float | None = None


@dataclass(frozen=True)
class IndexRecall:
    """Approximate index over a release's vectors, as export builds it, against exact search.

    Attributes:
        used: whether the release uses it; a small catalogue is searched exactly.
        type: kind of the index; `scann` where the release's own index is exact.
        settings: of the index, by name.
        queries: number of recorded requests that it was measured with.
        recall: share of the `at` nearest items by exact search that it finds.
        at: number of nearest items.
    """

    used: bool
    type: str
    settings: dict[str, Any]
    queries: int
    recall: float
    at: int = 100


@dataclass(frozen=True)
class Report:
    """Contents of the report.

    Attributes:
        project: the project's name.
        description: of the project, in a sentence; may be "".
        release: the release's version.
        created_at: when the report was made, ISO 8601 UTC.
        config_digest: `Config.digest()`.
        text_encoder: kind of the text encoder, such as `hashed`.
        data: the data behind it.
        evaluation: models against baselines.
        curves: series by epoch (the first value is epoch 1; None where an epoch has none). Series whose names agree
            before a `/` share a plot: `loss/search` and `loss/home_feed` make the plot `loss`.
        stages: the stages of the build in order.
        notes: remarks, such as a task with little data.
        index: the approximate index against exact search, or None where it was not measured.
        blends: what decides, by task; none for a task without a fit.
        git_commit: the commit of the code, or None.
        versions: library versions by name.
    """

    project: str
    description: str
    release: str
    created_at: str
    config_digest: str
    text_encoder: str
    data: DataFacts
    evaluation: Evaluation
    curves: dict[str, list[float | None]] = field(default_factory=dict)
    stages: list[StageCost] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    index: IndexRecall | None = None
    blends: tuple[TaskBlend, ...] = ()
    git_commit: str | None = None
    versions: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Return the report as JSON values."""
        return _ADAPTER.dump_python(self, mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Report":
        """Return the report that `to_json` gave.

        Raises:
            pydantic.ValidationError: the values are not those of a report.
        """
        return _ADAPTER.validate_python(values)


_ADAPTER: TypeAdapter[Report] = TypeAdapter(Report)
