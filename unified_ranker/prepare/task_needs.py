"""Needs of a declared task: events in the log, and positives among them."""

from collections.abc import Iterable

import pandas as pd

from unified_ranker.config import Positive, Task
from unified_ranker.core.errors import nearest
from unified_ranker.log.check import Check, counted


def no_events(name: str, of_log: "pd.Series[int]") -> Check:
    """Return the failed check of a declared task without events.

    Args:
        name: of the task.
        of_log: number of events of each task of the log, the most frequent first.
    """
    return Check(
        f"`tasks/{name}.yaml`: the log has events of this task",
        passed=False,
        found="no event",
        what_to_do=f"remove the file, or name it after a task of the log: {counted(of_log)}."
        f"{nearest(name, [str(task) for task in of_log.index])}",
    )


def has_positives(name: str, task: Task, passed: bool, types: list[str], events: str) -> Check:
    """Check that some events of a task are positives; a task without any cannot be learnt.

    Args:
        name: of the task.
        task: its declaration.
        passed: whether there are any.
        types: event types of the task in the log.
        events: description of the task's events.
    """
    hints = dict.fromkeys(nearest(p.event_type, types) for p in task.positives if p.event_type not in types)
    return Check(
        f"`tasks/{name}.yaml`, `positives`: the task has positive events",
        passed=passed,
        found=f"{'; '.join(counted_event(p) for p in task.positives)} matches none of {events}",
        what_to_do=f"correct `event_type` or `min_value`, or remove the file.{''.join(hints)}",
    )


def head_has_examples(head: str, passed: bool, tasks: Iterable[str]) -> Check:
    """Check that a head has examples; without one it is served untrained.

    Args:
        head: its name.
        passed: whether it has any.
        tasks: those with positives of the head.
    """
    files = ", ".join(f"`tasks/{name}.yaml`" for name in tasks)
    return Check(
        f"head `{head}`: it has examples",
        passed=passed,
        found="no event is a positive of this head",
        what_to_do=f"correct or remove its entry in `positives` of {files}",
    )


def counted_event(positive: Positive) -> str:
    """Return what an event must be to count as a positive."""
    least = "" if positive.min_value is None else f" and value ≥ {positive.min_value:g}"
    least = least if positive.above is None else f" and value > {positive.above:g}"
    return f"event_type `{positive.event_type}`{least}{' or none' if positive.unrated else ''}"
