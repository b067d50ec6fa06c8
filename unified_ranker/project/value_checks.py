"""Checks of the values of positives: none of them says no, and each number is one."""

import json
from collections.abc import Iterator

import pandas as pd

from unified_ranker.config import Positive
from unified_ranker.core.positives import matches
from unified_ranker.log.check import Check
from unified_ranker.log.row_rules import Harm
from unified_ranker.project.value_scale import ValueColumn, value_scale, values_that_say_no


def value_checks(
    task: str, number: int, positive: Positive, of_task: pd.DataFrame, column: ValueColumn
) -> Iterator[Check]:
    """Yield the checks of the values of one of a task's positives.

    Args:
        task: its name.
        number: of the entry in `positives`.
        positive: the entry.
        of_task: the task's events.
        column: of the values.
    """
    of_type = of_task[(of_task["event_type"] == positive.event_type).to_numpy(bool)]
    own = of_type["value"]
    if own.isna().all():
        return
    at, path = f"`tasks/{task}.yaml`, `positives[{number}]`", f"tasks.{task}.positives.{number}"
    scale = value_scale(own, column)
    strays = () if scale is None else scale.strays
    stray = matches(of_type["event_type"], own, positive) & own.isin(strays)
    numbers = {f"{number:g}": "null" for number in strays}
    yield Check(
        f"{at}: every number of `{positive.event_type}` is a value",
        passed=not stray.any(),
        count=int(stray.sum()),
        found=f"{', '.join(numbers)}: far outside of the others, so that it stands for no value",
        what_to_do=f"`data.columns.events.value: {{column: {column.name}, values: {json.dumps(numbers)}}}`",
        severity="warning",
        total=len(own),
        harm=Harm.MISREAD,
    )
    if positive.min_value is not None or positive.above is not None:
        return
    bound = "above: 0" if scale is None or scale.least is None else f"min_value: {scale.least:g}"
    yield Check(
        f"{at}: no value of `{positive.event_type}` says no",
        passed=not (said := values_that_say_no(own, column)),
        found=f"{said}; every event counts",
        what_to_do=f"`{path}.{bound}`, or `{path}.min_value: {own.min():g}` if these events count, too",
        severity="warning",
        harm=Harm.MISREAD,
    )
