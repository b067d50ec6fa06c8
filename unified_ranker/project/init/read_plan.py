"""Reading of a planned log: what its rows make of the plan, and whether most of them can be used."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Mask
from unified_ranker.core.errors import UserError
from unified_ranker.core.times import DAY, seconds, usual_span, utc_text
from unified_ranker.log.check import Check, tolerate
from unified_ranker.log.content_checks import content_checks, quarantined_events, without_quarantined
from unified_ranker.log.row_rules import LEFT_OUT
from unified_ranker.log.schema import InteractionLog, normalise
from unified_ranker.project.init.inspect_columns import percent
from unified_ranker.project.init.inspected_part import WholeLog, inspected_part
from unified_ranker.project.init.project_plan import ProjectPlan
from unified_ranker.project.init.types_of_no_item import types_of_no_item
from unified_ranker.project.log_files import lies_as_read, read_into, tables_of, with_answers, with_reading
from unified_ranker.project.remedies import in_terms_of
from unified_ranker.project.value_scale import ValueColumn, value_scale
from unified_ranker.reading.read_log import ReadLog

TOLERATED = 0.05
"""Share of bad events up to which `init` declares that they are quarantined; more are for a person to look at."""
SAID_BY_INIT = ("events are of several items", "events are of several users", "events.user_id is known in users")
"""Warnings that `init` says, besides those of bad rows."""
UNUSABLE = 0.5
"""Share of bad events from which no project is written."""


@dataclass(frozen=True)
class PlannedLog:
    """Log of a plan.

    Attributes:
        plan: with what the rows made of it.
        log: the log without the events that `prepare` quarantines.
        failing: checks of the data that will fail.
        whole: counts of the whole log, where `log` is a part of it.
    """

    plan: ProjectPlan
    log: InteractionLog
    failing: tuple[Check, ...]
    whole: WholeLog | None


def read_plan(plan: ProjectPlan, directory: Path, announce: Callable[[str], None] | None = None) -> PlannedLog:
    """Read the log of a plan.

    Args:
        plan: the tables and their columns.
        directory: the project's.
        announce: is called with a line for whatever was recognised, and for each kind of bad rows.

    Raises:
        UserError: the tables cannot be read, or most of the events cannot be used; the message says why.
    """
    now = datetime.now(UTC)
    log, read, whole = _read(plan, directory)
    changed = _by_rows(plan, log)
    if changed is not plan:
        log, read, whole = _read(changed, directory)
    bad = quarantined_events(log, now)
    checks = with_reading(read.checks(0.0), content_checks(log, now, title_given=True))
    changed = _tolerant(changed, bad, read, checks)
    most = changed.data.max_bad_share
    checks = tolerate([*read.checks(most), *(c for c in checks if c.name not in _rules_of(read))], most)
    if announce is not None:
        rules = {*bad, *_rules_of(read), *SAID_BY_INIT}
        tolerated = [check.line() for check in checks if not (check.failed or check.passed) and check.name in rules]
        made = [f"`data.{name}`: {why}" for name, why in changed.notes.items() if name not in plan.notes]
        numbers = [new for old, new in zip(plan.choices, changed.choices, strict=True) if old != new]
        for line in (*read.notes, *made, *(f"`{new.path}`: {new.why}" for new in numbers), *tolerated):
            announce(line)
        if whole is not None:
            announce(
                f"looked at {len(log.events):,} of {whole.events:,} events: all of some users, and rare kinds. Counts "
                "of events and users are those of the whole log"
            )
    failing = tuple(in_terms_of((check for check in checks if check.failed), changed.mapped))
    return PlannedLog(changed, without_quarantined(log, now), failing, whole)


def _read(plan: ProjectPlan, directory: Path) -> tuple[InteractionLog, ReadLog, WholeLog | None]:
    """Return the log in the planned tables, the log of their reading, and counts of the whole if it is a part."""
    data = plan.mapped
    with tempfile.TemporaryDirectory(prefix="unified-ranker-init-") as name:
        local, reading = with_answers(data, directory, Path(name) / "answers", ask=True), None
        if not lies_as_read(local, directory):
            reading = Path(name) / "reading"
            reading.mkdir()
            read_into(local, directory, reading)
        found = tables_of(local, directory, reading)
        tables, whole = inspected_part(found)
    events = tables.events.drop([name for name in plan.left_out if name in tables.events.column_names])
    return normalise(events, tables.items, tables.users), found.read, whole


def _by_rows(plan: ProjectPlan, log: InteractionLog) -> ProjectPlan:
    """Return the plan with what the rows of its log say of it: event types of no item, numbers that are no values."""
    found = types_of_no_item(log, catalogue=plan.data.items is not None)
    if found:
        why = "Events that are left out, because their type is of no item: " + "; ".join(kind.why for kind in found)
        plan = plan.with_data({"without_item": tuple(kind.event_type for kind in found)}, f"{why}.")
    plan = _within_usual_times(plan, log)
    column = ValueColumn.of(plan.mapped)
    scales = (value_scale(of["value"], column) for _, of in log.events.groupby(["task", "event_type"]))
    strays = {number for scale in scales if scale is not None for number in scale.strays}
    return plan.with_no_values(strays) if strays else plan


def _within_usual_times(plan: ProjectPlan, log: InteractionLog) -> ProjectPlan:
    """Return the plan without events far before or after all others, such as those of a filler date."""
    if plan.data.order == "row":
        return plan
    times = log.events["timestamp"].dropna()
    possible = seconds(times[(times >= pd.Timestamp(0, tz="UTC")) & (times <= pd.Timestamp.now("UTC"))])
    first, last = usual_span(possible)
    for name, far, bound in (
        ("earliest", possible[possible < first], first // DAY * DAY),
        ("latest", possible[possible > last], last // DAY * DAY + DAY - 1),
    ):
        if len(far):
            why = f"Left out, because it is far from all others: {utc_text(int(far[0]))}; so many events: {len(far):,}."
            plan = plan.with_data({name: datetime.fromtimestamp(bound, UTC)}, why)
    return plan


def _tolerant(plan: ProjectPlan, bad: Mapping[str, Mask], read: ReadLog, checks: Sequence[Check]) -> ProjectPlan:
    """Return the plan with the share of bad events that it tolerates, where they are few.

    Raises:
        UserError: most of the rows are bad.
    """
    unusable = _worst(read, list(bad.values()))
    if unusable > UNUSABLE:
        lines = [check.line() for check in checks if not check.passed and check.name in {*bad, *_rules_of(read)}]
        raise UserError(
            f"most rows cannot be used ({percent(unusable)} of a table), so no project is written.\n" + "\n".join(lines)
        )
    share = _worst(read, [mask for rule, mask in bad.items() if rule not in LEFT_OUT])
    if not 0 < share <= TOLERATED:
        return plan
    failed = [check for check in checks if check.failed and check.total]
    broken = "; ".join(f"{check.name}: {check.count:,} rows" for check in failed)
    why = f"{percent(share)} of the rows are bad. They are quarantined and counted. Rules that they break: {broken}."
    return plan.with_data({"max_bad_share": _rounded_up(share)}, why)


def _worst(read: ReadLog, bad: Sequence[Mask]) -> float:
    """Return the largest share of bad rows of a table, those of the events by the masks of broken rules, too."""
    tables = {name: table.bad / max(table.rows, 1) for name, table in read.tables.items()}
    # The masks are those of the rows that were read, or of a part of them.
    broken = float(np.logical_or.reduce(bad).mean()) if bad and len(bad[0]) else 0.0
    unread = tables.get("events", 0.0)
    return max([unread + (1 - unread) * broken, *tables.values()])


def _rounded_up(share: float) -> float:
    """Return the next greater share that has one digit: 1, 2 or 5."""
    steps = (float(f"{digit}e{power}") for power in range(-9, 0) for digit in (1, 2, 5))
    return next(step for step in steps if step >= share)


def _rules_of(read: ReadLog) -> set[str]:
    """Return the rules that rows break which could not be read."""
    return {rule for table in read.tables.values() for rule in table.reasons}
