"""Page of a comparison: one HTML file without external parts."""

from dataclasses import dataclass

from markupsafe import Markup

from unified_ranker.evaluation.comparison.comparison_summary import (
    ENOUGH,
    Line,
    ModelComparison,
    SliceLine,
    TaskComparison,
)
from unified_ranker.evaluation.html_pages import render
from unified_ranker.evaluation.metrics import DECISIVE_METRIC, METRICS
from unified_ranker.evaluation.page_views import (
    METRIC_HEADS,
    METRIC_TITLES,
    PACKAGE,
    Breakdown,
    breakdowns_of,
    curve_pictures,
    depth_heads,
    depths_of,
)
from unified_ranker.evaluation.plots import bars
from unified_ranker.evaluation.slices import Dimension
from unified_ranker.tasks.head_kinds.reliability import BINS

_KINDS = {"joint": "joint", "alone": "this task alone", "ablation": "ablation", "variant": "variant"}


@dataclass(frozen=True)
class ComparedTask:
    """View of one task: its numbers, and the picture and lists that the page shows with them.

    Attributes:
        task: the numbers.
        anchor: id of its section.
        derived: whether a rule made its requests.
        picture: plot of the decisive metric of every model.
        sliced: names of the lines that are shown by slice.
        breakdowns: slices by dimension, where there are requests.
    """

    task: TaskComparison
    anchor: str
    derived: bool
    picture: Markup
    sliced: list[str]
    breakdowns: dict[Dimension, Breakdown[SliceLine]]

    @property
    def best(self) -> dict[str, float]:
        """The highest mean of each metric."""
        return {metric: max(line.metrics[metric].value for line in self.task.lines) for metric in METRICS}

    @property
    def activity(self) -> Breakdown[SliceLine] | None:
        """The breakdown that is shown unfolded."""
        return self.breakdowns.get("activity")

    @property
    def others(self) -> list[Breakdown[SliceLine]]:
        """The breakdowns that are shown folded."""
        return [found for name, found in self.breakdowns.items() if name != "activity"]

    def best_of(self, part: SliceLine) -> float:
        """Return the highest mean of a slice among the lines that are shown."""
        return max((part.values[name] for name in self.sliced if name in part.values), default=0.0)

    def under(self, line: Line) -> str:
        """Return the small print below a line's name: its kind, and the range of its seeds."""
        if line.kind == "baseline":
            return "baseline"
        seeds = (
            f"{line.seeds} seeds, {line.ndcg_range[0]:.3f} to {line.ndcg_range[1]:.3f}"
            if line.seeds > 1
            else "one seed"
        )
        return f"{_KINDS[line.kind]}; {seeds}"


def render_comparison(found: ModelComparison) -> str:
    """Return the comparison as an HTML document."""
    return render(
        PACKAGE,
        "comparison.html",
        title=f"{found.project}: one model against specialists",
        found=found,
        header=[
            ("configuration", found.config_digest),
            ("measured on", f"{found.part} slice"),
            ("seeds", str(found.seeds)),
            ("text encoder", found.text_encoder),
            ("derived tasks", ", ".join(found.derived) or "none"),
        ],
        worse=any(task.verdict.worse for task in found.tasks),
        by_verdict=sorted(found.tasks, key=lambda task: not task.verdict.worse),
        views=[_view(task, f"task-{number}", task.task in found.derived) for number, task in enumerate(found.tasks)],
        curves=curve_pictures(found.curves),
        titles=METRIC_TITLES,
        heads=METRIC_HEADS,
        decisive_title=METRIC_TITLES[DECISIVE_METRIC],
        enough=ENOUGH,
        bins=BINS,
        depths_of=depths_of,
        depth_heads=depth_heads,
    )


def _view(task: TaskComparison, anchor: str, derived: bool) -> ComparedTask:
    drawn = [line for line in task.lines if "two towers" not in line.name]
    sliced = ["joint model", "alone", "joint, two towers", "two towers", task.verdict.baseline]
    return ComparedTask(
        task=task,
        anchor=anchor,
        derived=derived,
        picture=bars(
            METRIC_TITLES[DECISIVE_METRIC],
            [line.name for line in drawn],
            ["baseline" if line.kind == "baseline" else "model" for line in drawn],
            [line.metrics[DECISIVE_METRIC] for line in drawn],
            anchor,
        ),
        sliced=[line.name for line in task.lines if line.name in sliced],
        breakdowns=breakdowns_of(task.slices),
    )
