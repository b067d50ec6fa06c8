"""The evaluation as tables of text."""

from collections.abc import Iterator

from unified_ranker.evaluation.metrics import METRICS
from unified_ranker.evaluation.results import Evaluation

TextTable = tuple[str, list[str], list[list[str]]]


def metric_tables(evaluation: Evaluation) -> Iterator[TextTable]:
    """Yield title, header and rows for each task: scorers by metric, with half the 95 % interval behind ±."""
    for task in evaluation.tasks:
        if task.overall is None:
            yield f"{task.task}: {task.remark}", ["scorer"], []
            continue
        derived = ", derived requests" if task.derived else ""
        title = f"{task.task} ({task.requests:,} of {task.available:,} test requests{derived})"
        rows = [
            [
                row.scorer,
                *(f"{m.value:.3f} ±{(m.high - m.low) / 2:.3f}" for m in (row.metrics[name] for name in METRICS)),
            ]
            for row in task.overall.rows
        ]
        yield title, ["scorer", *METRICS], rows
