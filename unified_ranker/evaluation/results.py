"""Results of an evaluation: records with a JSON form."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from pydantic import TypeAdapter

from unified_ranker.core.arrays import Ints
from unified_ranker.evaluation.metrics import Interval, Ranks
from unified_ranker.evaluation.shown_requests import ShownRequest
from unified_ranker.evaluation.slices import Dimension
from unified_ranker.evaluation.top_items import Concentration
from unified_ranker.tasks.head_kinds.base import HeadReport

if TYPE_CHECKING:
    import pandas as pd

Part = Literal["validation", "test"]
ScorerKind = Literal["model", "baseline"]
JOINT = "joint model"
"""Name of the scorer that answers as the service does."""


@dataclass(frozen=True, eq=False)
class Contender:
    """A scorer on one task.

    Attributes:
        name: its name.
        kind: model or baseline.
        note: what to know about its numbers.
        ranks: of the targets, `[requests]`.
        top: the items that it puts first, `[requests, top_items.TOP]`.
        seconds: that it took.
    """

    name: str
    kind: ScorerKind
    note: str
    ranks: Ranks
    top: Ints
    seconds: float


@dataclass(frozen=True)
class Row:
    """One scorer on one slice of requests: its metrics by name (`metrics.METRICS`)."""

    scorer: str
    kind: ScorerKind
    metrics: dict[str, Interval]


@dataclass(frozen=True)
class Slice:
    """Slice of a task's requests, with the metrics of every scorer; no rows for an empty slice.

    Attributes:
        dimension: property that the requests share: `all`, `country`, `user`, `item`, `activity` or `event`.
        name: value of the property: `all`, a country or `unknown` or `other`, `cold` or `warm`, a band of events, the
            head that the target teaches.
        requests: how many there are.
        rows: one per scorer, in the order in which they were given.
    """

    dimension: Dimension
    name: str
    requests: int
    rows: tuple[Row, ...]


@dataclass(frozen=True)
class PairedComparison:
    """A model against the best baseline on one metric, paired by request.

    `difference` is model minus baseline; `ratio` is model over baseline, None where the baseline finds nothing.
    """

    model: str
    metric: str
    baseline: str
    difference: Interval
    ratio: Interval | None = None

    @property
    def below(self) -> bool:
        """Tells whether the model's mean is below the baseline's."""
        return self.difference.value < 0

    @property
    def certain(self) -> bool:
        """Tells whether the interval of the difference excludes zero."""
        return self.difference.low > 0 or self.difference.high < 0


@dataclass(frozen=True)
class RetrievalRecall:
    """Recall of retrieval alone: Recall@k by k, with one choice of quality weights.

    `weights` is `declared` or `none`; `values` are the weights by feature.
    """

    weights: str
    values: dict[str, float]
    recall: dict[int, float]


@dataclass(frozen=True)
class RankedCandidateFacts:
    """Facts of what the ranking head was given and decided by.

    Attributes:
        most: candidates of a request, `serving.candidates`.
        found: share of the requests whose target is among them.
        signals: kinds of the signals that the model has.
        sources: those of them that propose candidates to the task.
        blend: whether the order is by a fitted blend: `fitted`; `too few` requests to fit one; or `off` by declaration.
    """

    most: int
    found: float
    signals: tuple[str, ...]
    sources: tuple[str, ...]
    blend: Literal["fitted", "too few", "off"]


@dataclass(frozen=True)
class AgedCounts:
    """NDCG@10 of the joint model with the counts of recent events as of the request, and with those a day old."""

    now: float
    day_old: float

    @property
    def line(self) -> str:
        """Line that says what old counts lose; the service counts live, so it loses nothing."""
        change = self.day_old / self.now - 1 if self.now else 0.0
        return f"With counts a day old: NDCG@10 {self.day_old:.3f} instead of {self.now:.3f} ({100 * change:+.0f} %)"

    @property
    def matters(self) -> bool:
        """Tells whether more than a twentieth is lost."""
        return self.day_old < 0.95 * self.now


@dataclass(frozen=True)
class Diagnosis:
    """Diagnosis of a model on one task.

    Attributes:
        requests: number of requests.
        retrieval: the two towers alone, by quality weights.
        calibration: one entry for each head.
        candidates: what the head was given.
        aged: what is lost where counts are a day old; None where no popularity has a window.
    """

    requests: int
    retrieval: tuple[RetrievalRecall, ...]
    calibration: tuple[HeadReport, ...]
    candidates: RankedCandidateFacts | None = None
    aged: AgedCounts | None = None


@dataclass(frozen=True)
class TaskEvaluation:
    """One task.

    Attributes:
        task: its name.
        derived: whether a rule made its requests, and not users.
        available: examples of the task in the slice that was evaluated.
        requests: how many of them were sampled.
        unreachable: requests whose target was no candidate, by reason. They count, as misses.
        slices: the overall slice first, then countries, users, items and bands of activity.
        comparisons: every model against the best baseline, per metric.
        notes: remarks on the numbers of a scorer, by scorer.
        seconds: time spent in each scorer.
        remark: reason for which there are no numbers; "" where there are.
        diagnosis: recall of retrieval and calibration of the model; None without a model or a request.
        concentrations: spread of the top tens over the catalogue, of the joint model and of the best baseline.
        shown: some of the requests with what the joint model recommends; none without it.
    """

    task: str
    derived: bool
    available: int
    requests: int
    unreachable: dict[str, int]
    slices: tuple[Slice, ...]
    comparisons: tuple[PairedComparison, ...]
    notes: dict[str, str]
    seconds: dict[str, float]
    remark: str
    diagnosis: Diagnosis | None = None
    concentrations: tuple[Concentration, ...] = ()
    shown: tuple[ShownRequest, ...] = ()

    @property
    def overall(self) -> Slice | None:
        """The slice of all requests; None when there are none."""
        return self.slices[0] if self.slices else None


@dataclass(frozen=True)
class Evaluation:
    """All tasks on one slice of the log.

    Attributes:
        part: which part of the temporal split.
        start: the part's first moment, seconds since 1970.
        end: its end (exclusive) in seconds; None where it is open, as for the test slice.
        items: size of the catalogue that was ranked.
        seed: of the sample and the bootstrap.
        bootstrap_samples: resamples behind each interval.
        tasks: one evaluation per task.
    """

    part: Part
    start: int
    end: int | None
    items: int
    seed: int
    bootstrap_samples: int
    tasks: tuple[TaskEvaluation, ...]

    def to_frame(self) -> "pd.DataFrame":
        """Return the metrics as a `pandas.DataFrame`: a row for each task, slice of its requests, and scorer.

        Example:
            metrics = Project("shop").evaluate().to_frame()
            metrics[metrics["dimension"] == "all"].pivot(index="scorer", columns="task", values="ndcg@10")

        Returns:
            Columns `task`, `dimension` and `name` of the slice, `requests`, `scorer`, `kind`, and for each metric its
            mean, under its own name, and its 95 % interval, as `<metric>_low` and `<metric>_high`.
        """
        import pandas as pd

        rows = [
            {
                "task": task.task,
                "dimension": part.dimension,
                "name": part.name,
                "requests": part.requests,
                "scorer": row.scorer,
                "kind": row.kind,
                **{
                    f"{metric}{end}": value
                    for metric, interval in row.metrics.items()
                    for end, value in (("", interval.value), ("_low", interval.low), ("_high", interval.high))
                },
            }
            for task in self.tasks
            for part in task.slices
            for row in part.rows
        ]
        return pd.DataFrame(rows)

    def to_json(self) -> dict[str, Any]:
        """Return the evaluation as JSON values."""
        return _ADAPTER.dump_python(self, mode="json")

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> "Evaluation":
        """Return the evaluation that `to_json` gave.

        Raises:
            pydantic.ValidationError: the values are not those of an evaluation.
        """
        return _ADAPTER.validate_python(values)


_ADAPTER: TypeAdapter[Evaluation] = TypeAdapter(Evaluation)
