"""Table of events in the form of the log, written part by part."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import TablesSource
from unified_ranker.log.quarantine import EVENT_FILE, EVENT_ROW
from unified_ranker.reading.column_plan import PlannedColumn, TablePlan
from unified_ranker.reading.column_values import Readings
from unified_ranker.reading.left_out_events import LeftOutEvents
from unified_ranker.reading.raw import joined
from unified_ranker.reading.raw_rows import RawSource
from unified_ranker.reading.read_log import QuarantinedRows, ReadLog
from unified_ranker.reading.row_sorting import sorted_rows

_ROW_GROUP = 500_000
_FIRST_MOMENT = 946_684_800_000_000
"""Time of the first row of a log that is ordered by its rows, in microseconds: the year 2000; a second lies between."""
_SECOND = 1_000_000
_TYPES = {
    "id": pa.string(), "text": pa.string(), "time": pa.timestamp("us", "UTC"), "number": pa.float64(),
    "integer": pa.int64(), "flag": pa.bool_(),
}  # fmt: skip
_EXTRA_FILE = "further.parquet"
EVENTS_FOLDER = "events"
"""Name of the directory that the events are written to."""


def write_events(
    plan: TablePlan,
    source: RawSource,
    data: TablesSource,
    readings: Readings,
    target: Path,
    log: ReadLog,
    quarantine: QuarantinedRows,
) -> Path | None:
    """Write the events into `target`; bad rows are quarantined.

    Returns:
        File with `item_id`, `user_id`, the number of the row and the further columns of the source, for the tables that
        are made of the events; None where each has a source of its own.
    """
    table_log = log.tables["events"]
    further = extra_columns(plan, data)
    by_row = data.order == "row"
    schema = _schema(plan, by_row)
    folder = target / EVENTS_FOLDER
    folder.mkdir()
    needs_extra = data.items is None or (data.users is None and bool(data.columns.users))
    extra = target / _EXTRA_FILE if needs_extra else None
    writer, beside, done = pq.ParquetWriter(folder / "0.parquet", schema), None, 0
    left_out = LeftOutEvents(plan, data, readings)
    try:
        for whole in source.rows(list(dict.fromkeys([*plan.needed, *further]))):
            rows = left_out.by_type(whole)
            values, kept = left_out.by_time(*sorted_rows(plan, rows, readings, table_log, quarantine))
            if by_row:
                moments = _FIRST_MOMENT + (done + np.arange(len(kept))) * _SECOND
                values["timestamp"] = pa.array(moments).cast(pa.timestamp("us", "UTC"))
            values[EVENT_FILE] = pa.repeat(pa.scalar(rows.file), len(kept)).dictionary_encode()
            values[EVENT_ROW] = pa.array(rows.numbers[kept])
            table = pa.table([values[f.name].cast(f.type) for f in schema], schema=schema)
            writer.write_table(table, row_group_size=_ROW_GROUP)
            if extra is not None:
                part = _extra_part(rows.table.select(further).take(pa.array(kept)), values, done)
                beside = pq.ParquetWriter(extra, part.schema) if beside is None else beside
                beside.write_table(_like(part, beside.schema))
            done += len(kept)
    finally:
        writer.close()
        if beside is not None:
            beside.close()
    table_log.notes += left_out.notes
    if by_row:
        table_log.notes.append("events are ordered by their rows, which stand for times: a second lies between two")
    table_log.left_out = [name for name in plan.further if name not in further]
    return extra if beside is not None else None


def extra_columns(plan: TablePlan, data: TablesSource) -> list[str]:
    """Return the columns of the source that other tables are made of, where they have no source of their own."""
    names: dict[str, None] = {}
    if data.items is None:
        names |= dict.fromkeys(plan.further)
        names |= dict.fromkeys(theirs for c in data.columns.items.values() for theirs in c.theirs)
    if data.users is None:
        names |= dict.fromkeys(theirs for c in data.columns.users.values() for theirs in c.theirs)
    return list(names)


def _schema(plan: TablePlan, by_row: bool) -> pa.Schema:
    own: list[PlannedColumn] = list(plan.columns)
    fields = [
        pa.field(column.name, _TYPES[column.kind]) for column in own if not (by_row and column.name == "timestamp")
    ]
    times = [pa.field("timestamp", _TYPES["time"])] if by_row else []
    origin = [pa.field(EVENT_FILE, pa.dictionary(pa.int32(), pa.string())), pa.field(EVENT_ROW, pa.int64())]
    return pa.schema([*fields, *times, *origin])


def _extra_part(further: pa.Table, values: dict[str, pa.Array], done: int) -> pa.Table:
    """Return the rows that tables are made of; names of ours have a mark, because theirs may be the same."""
    columns = {f"/{name}": values[name] for name in ("item_id", "user_id") if name in values}
    columns |= {f"/{name}": values[name] for name in ("source_item_id", "query_item_id") if name in values}
    columns["/row"] = pa.array(done + np.arange(len(values[EVENT_ROW])))
    return pa.table({**columns, **{name: further[name] for name in further.column_names}})


def _like(part: pa.Table, schema: pa.Schema) -> pa.Table:
    """Return a part in the types of the first, from which other files may differ."""
    return part if part.schema == schema else joined([schema.empty_table(), part]).cast(schema)
