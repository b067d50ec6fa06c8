"""Sorting of rows into good ones, in the form of the log, and bad ones, into quarantine."""

import numpy as np
import pyarrow as pa

from unified_ranker.core.arrays import Ints, Mask
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.schema import LOG_COLUMNS
from unified_ranker.reading.column_plan import PlannedColumn, TablePlan
from unified_ranker.reading.column_values import Readings, column_values, source_column
from unified_ranker.reading.raw_rows import RawRows
from unified_ranker.reading.read_log import QuarantinedRows, TableLog, quarantined

_LONGEST_LINE = 500


def sorted_rows(
    plan: TablePlan, rows: RawRows, readings: Readings, log: TableLog, quarantine: QuarantinedRows
) -> tuple[dict[str, pa.Array], Ints]:
    """Return the values of the good rows by our names, and where these rows are in the part `[good]`.

    Columns of the kinds `list` and `feature` are not among them: their form is of the whole column.
    """
    planned = [column for column in plan.columns if column.kind not in ("list", "feature")]
    values: dict[str, pa.Array] = {}
    reasons: dict[int, str] = {}
    keep = np.ones(len(rows.numbers), bool)
    for column in planned:
        values[column.name], bad, rule = column_values(plan.table, column, rows.table, readings)
        new = np.flatnonzero(bad & keep)
        if len(new):
            # Of a row that breaks several rules, the first is its reason.
            keep[new] = False
            reasons |= dict.fromkeys(new.tolist(), rule)
            shown = source_column(column, rows.table).take(pa.array(new[:MAX_EXAMPLES])).to_pylist()
            numbers = rows.numbers[new[:MAX_EXAMPLES]]
            log.count(rule, len(new), [f"{v} (row {n} of {rows.file})" for v, n in zip(shown, numbers, strict=True)])
    log.rows += len(rows.numbers) + len(rows.rejected)
    for one in rows.rejected:
        log.count(f"{plan.table}.row {one.rule}", 1, [f"{one.text[:80]} (row {one.row} of {rows.file})"])
    if rows.rejected:
        lines: list[str | None] = [one.text[:_LONGEST_LINE] for one in rows.rejected]
        numbers_of = [one.row for one in rows.rejected]
        quarantine.add(
            quarantined([f"{plan.table}.row {one.rule}" for one in rows.rejected], rows.file, numbers_of, lines, {})
        )
    if reasons:
        quarantine.add(_bad_rows(plan, planned, rows, keep, reasons))
        taken = pa.array(np.flatnonzero(keep))
        values = {name: column.take(taken) for name, column in values.items()}
    return values, np.flatnonzero(keep)


def _bad_rows(
    plan: TablePlan, planned: list[PlannedColumn], rows: RawRows, keep: Mask, reasons: dict[int, str]
) -> pa.Table:
    """Return the bad rows with the values of their source, as text."""
    at = np.flatnonzero(~keep)
    raw = rows.table.take(pa.array(at))
    events = {}
    if plan.table == "events":
        for column in planned:
            if column.name in LOG_COLUMNS["events"]:
                shown = [None if v is None else str(v) for v in source_column(column, raw).to_pylist()]
                events[column.name] = pa.array(shown, pa.string())
    lines: list[str | None] = [str(row)[:_LONGEST_LINE] for row in raw.to_pylist()]
    return quarantined([reasons[int(row)] for row in at], rows.file, rows.numbers[at], lines, events)
