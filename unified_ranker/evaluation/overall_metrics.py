"""Overall metrics of an evaluation, as the command line prints them and a release's manifest holds them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pydantic import ConfigDict, RootModel

if TYPE_CHECKING:
    from unified_ranker.evaluation.results import Evaluation

_Values = dict[str, float]
"""Values by name of the metric."""


class OverallMetrics(RootModel[dict[str, dict[str, _Values]]]):
    """Values of every scorer on all measured requests of each task; in JSON by task, scorer and metric."""

    model_config = ConfigDict(frozen=True)

    @classmethod
    def of(cls, evaluation: Evaluation) -> OverallMetrics:
        """Return the metrics of an evaluation, rounded; a task without requests has no scorer."""
        return cls(
            {
                task.task: {
                    row.scorer: {name: round(interval.value, 5) for name, interval in row.metrics.items()}
                    for row in (task.overall.rows if task.overall else ())
                }
                for task in evaluation.tasks
            }
        )

    def scorers(self, task: str) -> Mapping[str, _Values]:
        """Return the values of each scorer on a task; none for a task that was not measured."""
        return self.root.get(task, {})

    def of_scorer(self, scorer: str) -> dict[str, _Values]:
        """Return the values of a scorer on each task that it was measured on."""
        return {task: scorers[scorer] for task, scorers in self.root.items() if scorer in scorers}
