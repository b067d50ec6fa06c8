"""Reading of a project's tables into the form of the log."""

import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.types as pt

from unified_ranker.config import TableSource, TablesSource
from unified_ranker.core.errors import UserError
from unified_ranker.log.column_types import is_list, is_number, is_text
from unified_ranker.log.parquet_files import open_parquet, own_columns
from unified_ranker.log.schema import OFFER_COLUMNS
from unified_ranker.log.table_files import is_parquet_table, table_files
from unified_ranker.reading.column_plan import ITEM_KEYS, USER_KEYS, TablePlan, plan_of
from unified_ranker.reading.column_values import Readings, source_column
from unified_ranker.reading.events_table import EVENTS_FOLDER, write_events
from unified_ranker.reading.id_values import IdSummary
from unified_ranker.reading.raw import open_table
from unified_ranker.reading.raw_rows import RawSource
from unified_ranker.reading.read_log import QuarantinedRows, ReadLog, TableLog
from unified_ranker.reading.side_tables import from_events, write_side_table
from unified_ranker.reading.time_reading import Ambiguity, TimeReading, TimeSummary, recognise
from unified_ranker.reading.time_shapes import formats_of, is_day_first, is_month_first

_ANSWERS = "answers"
_GROUPS = (ITEM_KEYS, USER_KEYS)


@dataclass
class _Opened:
    """Tables that are read: their sources, and plans by table."""

    sources: dict[str, RawSource]
    plans: dict[str, TablePlan] = field(default_factory=dict)


def as_it_lies(table: str, data: TablesSource, directory: Path) -> bool:
    """Tell whether a declared table is Parquet in the form of the log, so that nothing is to be read or recognised."""
    source: TableSource = data.tables[table]
    plain = source == TableSource(files=source.files) if source.files is not None else False
    changed = table == "events" and (data.order == "row" or data.leaves_out_events)
    if not plain or source.files is None or getattr(data.columns, table) or changed:
        return False
    path = directory / source.files.expanduser()
    if not path.exists() or not is_parquet_table(path):
        return False
    return all(_in_our_form(table, open_parquet(file).schema_arrow) for file in table_files(path))


def _in_our_form(table: str, schema: pa.Schema) -> bool:
    found = tuple(column.name for column in own_columns(schema))
    if len(set(found)) < len(found):
        return True  # `validate` says which name occurs twice.
    nothing = TablesSource(type="tables", events=TableSource(files=Path("-")))
    plan = plan_of(table, nothing, found, strict=False)
    return all(_has_kind(column.kind, column.name, schema.field(column.name).type) for column in plan.columns)


def _has_kind(kind: str, name: str, given: pa.DataType) -> bool:
    given = given.value_type if pt.is_dictionary(given) else given
    if pt.is_null(given):
        return True
    if kind == "list" and name not in OFFER_COLUMNS:
        return is_list(given)
    tests = {
        "id": is_text(given) or pt.is_integer(given),
        "text": is_text(given) or pt.is_integer(given),
        "time": pt.is_timestamp(given) or pt.is_date(given),
        "number": is_number(given),
        "integer": is_number(given),
        "flag": pt.is_boolean(given),
    }
    return tests.get(kind, True)


def read_sources(data: TablesSource, directory: Path, target: Path) -> ReadLog:
    """Read the declared tables into the form of the log.

    Args:
        data: the declarations.
        directory: the project's, to which paths are relative.
        target: an empty directory, which gets `events/`, `items.parquet` and `users.parquet` of the tables that are
            not used as they lie, `quarantine.parquet` of bad rows, and `read.json`.

    Returns:
        The log of the reading, which is also in `read.json`.

    Raises:
        UserError: a table cannot be read, a column is missing, or the times of one can be read in two ways.
    """
    log, quarantine = ReadLog(by_position=data.order == "row"), QuarantinedRows()
    lying = {name for name in data.tables if as_it_lies(name, data, directory)}
    if data.items is None or (data.users is None and data.columns.users):
        lying.discard("events")
    opened, readings = _looked_at(data, directory, target, lying)
    for name, source in data.tables.items():
        form = opened.sources[name].form if name in opened.sources else "Parquet in the form of the log"
        log.tables[name] = TableLog(source.name, form)
    if "events" in opened.sources:
        log.tables["events"].file = EVENTS_FOLDER
        extra = write_events(opened.plans["events"], opened.sources["events"], data, readings, target, log, quarantine)
        for name in ("items", "users"):
            if getattr(data, name) is None and (name == "items" or data.columns.users):
                log.tables[name] = from_events(name, opened.plans["events"], data, extra, target, log.tables["events"])
        if extra is not None:
            extra.unlink()
    for name in ("items", "users"):
        if name in opened.sources:
            write_side_table(opened.plans[name], opened.sources[name], readings, target, log.tables[name], quarantine)
    for (name, column), reading in readings.times.items():
        if reading.recognised and str(reading) != "times":
            log.tables[name].notes.append(f"{name}.{column} is read as {reading}")
    if readings.repaired:
        names = ", ".join(f"`{name}`" for name in sorted(readings.repaired))
        log.tables["events"].notes.append(f"whole numbers lose the `.0` that stands behind each in {names}")
    quarantine.write(target)
    shutil.rmtree(target / _ANSWERS, ignore_errors=True)
    log.write(target)
    return log


def _looked_at(data: TablesSource, directory: Path, target: Path, lying: set[str]) -> tuple[_Opened, Readings]:
    """Open the tables that do not lie as they should, and find the readings of their columns."""
    opened = _Opened({})
    for name, source in data.tables.items():
        if name not in lying:
            opened.sources[name] = open_table(source, directory, target / _ANSWERS / f"{name}.parquet")
            opened.plans[name] = plan_of(name, data, opened.sources[name].columns)
    times, ids = _summaries(opened, thorough=False)
    doubtful = [group for group in _GROUPS if any(ids[name].dotted for name in group if name in ids)]
    if not doubtful:
        return opened, Readings(_readings(data, times))
    # A table that lies as it should may hold text, too: then it is read like the others.
    again = {name for name in lying if _holds_text(name, data, directory, doubtful)}
    if again:
        return _looked_at(data, directory, target, lying - again)
    _, ids = _summaries(opened, thorough=True)
    repaired = frozenset(
        name for group in doubtful for name in group if all(s.plain for key, s in ids.items() if key in group)
    )
    return opened, Readings(_readings(data, times), repaired & ids.keys())


def _holds_text(table: str, data: TablesSource, directory: Path, groups: list[frozenset[str]]) -> bool:
    files = data.tables[table].files
    if files is None:
        return False
    names = {name for group in groups for name in group}
    schemas = [open_parquet(file).schema_arrow for file in table_files(directory / files.expanduser())]
    return any(f.name in names and is_text(f.type) for schema in schemas for f in schema)


def _summaries(opened: _Opened, thorough: bool) -> tuple[dict[tuple[str, str], TimeSummary], dict[str, IdSummary]]:
    """Read the columns of times and identifiers once, and return a summary of each."""
    times: dict[tuple[str, str], TimeSummary] = {}
    ids: dict[str, IdSummary] = {}
    for table, plan in opened.plans.items():
        wanted = [column for column in plan.columns if column.kind in ("time", "id")]
        for column in wanted:
            if column.kind == "time":
                times[table, column.name] = TimeSummary()
                if column.source.value is not None:
                    times[table, column.name].add(pa.chunked_array([pa.array([column.source.value])]))
            else:
                ids.setdefault(column.name, IdSummary(thorough=thorough))
        wanted = [column for column in wanted if column.source.theirs]
        if not wanted:
            continue
        for rows in opened.sources[table].rows(list(dict.fromkeys(n for c in wanted for n in c.source.theirs))):
            for column in wanted:
                values = source_column(column, rows.table)
                if column.kind == "id":
                    ids[column.name].add(values)
                elif not thorough:
                    times[table, column.name].add(values)
    return times, ids


def _readings(data: TablesSource, times: Mapping[tuple[str, str], TimeSummary]) -> dict[tuple[str, str], TimeReading]:
    out = {}
    for (table, name), summary in times.items():
        source = getattr(data.columns, table).get(name)
        if source is not None and source.unit is not None:
            out[table, name] = TimeReading(unit=source.unit, recognised=False)
        elif source is not None and source.format is not None:
            out[table, name] = TimeReading(formats=_beside(source.format, summary), recognised=False)
        else:
            out[table, name] = _recognised(table, name, source.theirs if source else (name,), summary)
    return out


def _beside(form: str, summary: TimeSummary) -> tuple[str, ...]:
    """Return a declared format, and those that the column has besides with day and month in the same order.

    A format that says no order, such as `%Y-%m-%d`, admits none: 05/06/2020 could be read in two ways.
    """
    others = dict.fromkeys(f for shape in summary.shapes for f in formats_of(shape))
    wrong = [order for order in (is_day_first, is_month_first) if not order(form)]
    return (form, *(other for other in others if other != form and not any(order(other) for order in wrong)))


def _recognised(table: str, name: str, columns: tuple[str, ...], summary: TimeSummary) -> TimeReading:
    found = recognise(summary)
    if isinstance(found, TimeReading):
        return found
    theirs = " and ".join(columns)
    taken = f"column: {theirs}" if len(columns) == 1 else f"columns: [{', '.join(columns)}]"
    yaml = f"data: {{columns: {{{table}: {{{name}: {{{taken}, OPTION}}}}}}}}"
    if isinstance(found, Ambiguity):
        lines = "\n".join(f"  {r}: {yaml.replace('OPTION', r.option)}" for r in found.readings)
        raise UserError(
            f"`{table}.{name}` must have one reading. Received: times such as `{found.example}`, which may have the "
            f"day or the month first; no row tells. Declare one of them in project.yaml:\n{lines}"
        )
    unknown = (shown for shape, shown in summary.examples.items() if not formats_of(shape))
    example = next(unknown, next(iter(summary.examples.values()), None))
    if example is None and not summary.present:
        return TimeReading()
    shown = f"values such as `{example}`" if example else "values of another kind"
    raise UserError(
        f"`{table}.{name}` must hold times that are recognised. Received: {shown} in the column `{theirs}`. Declare "
        f"how they are written in project.yaml: `{yaml.replace('OPTION', 'unit: s')}`, or ms, us, ns, days; or "
        '`format: "%Y-%m-%d"` as Python\'s strptime has it.'
    )
