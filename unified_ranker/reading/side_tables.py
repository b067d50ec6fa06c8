"""Tables of items and users in the form of the log: from a source of their own, or of the events."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import ColumnSource, TablesSource
from unified_ranker.log.column_types import decoded, is_list, is_text
from unified_ranker.reading.column_plan import PlannedColumn, TablePlan, planned_kind
from unified_ranker.reading.column_values import Readings, source_column
from unified_ranker.reading.duck import connected, quoted
from unified_ranker.reading.list_values import distinct_texts, list_form_of, to_list_values
from unified_ranker.reading.raw import joined
from unified_ranker.reading.raw_rows import RawSource
from unified_ranker.reading.read_log import QuarantinedRows, TableLog
from unified_ranker.reading.row_sorting import sorted_rows
from unified_ranker.reading.time_reading import TimeReading, recognise_times
from unified_ranker.reading.time_values import read_times
from unified_ranker.reading.typed_table import typed

_KEYS = {"items": "item_id", "users": "user_id"}
_ID_COLUMNS = {"items": ("item_id", "source_item_id", "query_item_id"), "users": ("user_id",)}


def write_side_table(
    plan: TablePlan, source: RawSource, readings: Readings, target: Path, log: TableLog, quarantine: QuarantinedRows
) -> None:
    """Write items or users into `target`; bad rows are quarantined."""
    parts: list[tuple[dict[str, pa.Array], pa.Table]] = []
    for rows in source.rows(source.columns):
        values, kept = sorted_rows(plan, rows, readings, log, quarantine)
        parts.append((values, rows.table.take(pa.array(kept))))
    raw = joined([table for _, table in parts])
    names = parts[0][0] if parts else {}
    columns = {name: pa.chunked_array([values[name] for values, _ in parts]) for name in names}
    write_finished(plan, raw, columns, target, log)


def write_finished(
    plan: TablePlan, raw: pa.Table, columns: dict[str, pa.ChunkedArray], target: Path, log: TableLog
) -> None:
    """Write a table of the columns that are in the form of the log, with its lists and features from the raw table."""
    out = dict(columns)
    for column in plan.columns:
        if column.kind in ("list", "feature"):
            out[column.name] = _of_whole_column(plan.table, column, raw, log)
    for name in plan.further:
        out[name] = _of_whole_column(plan.table, PlannedColumn(name, ColumnSource(column=name), "feature"), raw, log)
    log.file = f"{plan.table}.parquet"
    pq.write_table(pa.table(out), target / log.file)


def _of_whole_column(table: str, planned: PlannedColumn, raw: pa.Table, log: TableLog) -> pa.ChunkedArray:
    """Return a list or a feature, whose form is recognised from all of its values."""
    column, source = decoded(source_column(planned, raw)), planned.source
    if source.unit is not None or source.format is not None:
        reading = TimeReading(unit=source.unit, formats=(source.format,) if source.format else (), recognised=False)
        return pa.chunked_array([read_times(column, reading)[0]])
    if is_text(column.type):
        form = list_form_of(distinct_texts(column), source.separator, source.levels)
        if planned.kind == "list" or source.separator or source.levels or form.written:
            if form.written or form.separator or form.levels:
                log.notes.append(f"{table}.{planned.name} is read as lists: {form}")
            return pa.chunked_array([to_list_values(column, form)])
        return typed(planned.name, column)
    if is_list(column.type) and planned.kind == "list":
        return pa.chunked_array([to_list_values(column, None)])
    return column


def from_events(
    name: str, events: TablePlan, data: TablesSource, extra: Path | None, target: Path, log_of_events: TableLog
) -> TableLog:
    """Write items or users that have no source: the ids in the events, with what is constant for each.

    Args:
        name: `items` or `users`.
        events: plan of the events.
        data: the declarations.
        extra: file of `events_table.write_events`.
        target: directory of the reading.
        log_of_events: gets the columns that differ within an item, which are left out.
    """
    log = TableLog(log_of_events.source, f"the {name} of the events")
    key, declared = _KEYS[name], getattr(data.columns, name)
    sources: dict[str, ColumnSource] = {column: source for column, source in declared.items() if column != key}
    if name == "items":
        declared_of = (*sources.values(), *data.columns.users.values())
        taken = {theirs for source in declared_of for theirs in source.theirs}
        sources |= {
            column: ColumnSource(column=column) for column in events.further if column not in {*taken, *sources}
        }
    theirs = list(dict.fromkeys(name for source in sources.values() for name in source.theirs))
    ids = [column for column in _ID_COLUMNS[name] if column in {c.name for c in events.columns}]
    raw, varying = (
        _grouped(extra, ids, theirs) if extra is not None else (pa.table({key: pa.array([], pa.string())}), {})
    )
    for column in theirs:
        ours = [our for our, source in sources.items() if column in source.theirs]
        if column in varying and not any(our in declared for our in ours):
            sources = {our: source for our, source in sources.items() if column not in source.theirs}
            log_of_events.left_out.append(column)
            log.notes.append(f"`{column}` is no column of {name}: it differs within {varying[column]:,} of them")
        elif column in varying:
            log.notes.append(
                f"{name}.{ours[0]} is the last value of `{column}`, which differs within {varying[column]:,}"
            )
    log.rows = len(raw)
    columns = {key: raw[key]}
    features = []
    for our, source in sources.items():
        kind = planned_kind(name, our)
        if kind == "time" and source.unit is None and source.format is None:
            times = source_column(PlannedColumn(our, source, kind), raw)
            found = recognise_times(times)
            reading = found if isinstance(found, TimeReading) else TimeReading()
            columns[our] = pa.chunked_array([read_times(times, reading)[0]])
        else:
            features.append(PlannedColumn(our, source, "list" if kind == "list" else "feature"))
    write_finished(TablePlan(name, tuple(features), ()), raw, columns, target, log)
    return log


def _grouped(extra: Path, ids: list[str], theirs: list[str]) -> tuple[pa.Table, dict[str, int]]:
    """Return the last value of each column for each id, and the number of ids within which a column differs."""
    key = ids[0]
    row = quoted("/row")
    chosen = "".join(f", max_by({quoted(c)}, {row}) FILTER ({quoted(c)} IS NOT NULL) AS {quoted(c)}" for c in theirs)
    differing = "".join(
        f", coalesce(min({quoted(c)}) IS DISTINCT FROM max({quoted(c)}), false) AS {quoted('/' + c)}" for c in theirs
    )
    # Names are quoted, and the file is the reading's own.
    rows = " UNION ALL BY NAME ".join(
        [f"SELECT {quoted('/' + key)} AS {quoted(key)}, * FROM extra"]  # noqa: S608
        + [f"SELECT {quoted('/' + other)} AS {quoted(key)}, {row} FROM extra" for other in ids[1:]]  # noqa: S608
    )
    query = f"SELECT {quoted(key)}{chosen}{differing} FROM ({rows}) WHERE {quoted(key)} IS NOT NULL "  # noqa: S608
    with connected() as connection:
        connection.read_parquet(str(extra)).create_view("extra")
        table = connection.sql(f"{query} GROUP BY {quoted(key)} ORDER BY {quoted(key)}").to_arrow_table()
    varying = {c: int(table[f"/{c}"].combine_chunks().true_count) for c in theirs}
    return table.select([key, *theirs]), {column: count for column, count in varying.items() if count}
