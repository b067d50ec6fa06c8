"""Events and items of Parquet tables, as of a nightly export."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.times import MICROSECONDS
from unified_ranker.events.growing_directory import GrowingDirectory
from unified_ranker.log.column_types import (
    LAST_SECOND,
    TIMES,
    ColumnError,
    Converter,
    are_whole,
    decoded,
    is_number,
    is_text,
    to_integers,
    to_numbers,
    to_text,
    to_times,
)
from unified_ranker.log.schema import REQUIRED
from unified_ranker.log.strict_columns import converted

_TEXT = ("query", "source_item_id", "country", "request_id", "event_id")
_NUMBERS: Mapping[str, Converter] = {"value": to_numbers, "position": to_integers}


class ParquetEvents:
    """See `EventSource`: events of a directory of Parquet tables, one table at a time."""

    def __init__(self, directory: GrowingDirectory) -> None:
        """Follow `directory`."""
        self._directory = directory
        self._names: list[str] = []

    def new(self) -> list[Event]:
        """See `EventSource.new`; empty tables are skipped."""
        self._names = []
        for name, table in self._directory.new():
            self._names.append(name)
            if events := events_of(table, self._directory.directory / name):
                return events
        return []

    def done(self) -> None:
        """See `EventSource.done`."""
        self._directory.done(self._names)


def events_of(table: pa.Table, file: Path) -> list[Event]:
    """Return the rows of a table of events (docs/reference/interaction-log.md).

    A required value that is null or blank becomes "", and a time that is null or none becomes 0; see `Event.fault`.

    Raises:
        UserError: a column is missing or of the wrong type.
    """
    lacking = [name for name in REQUIRED["events"] if name not in table.column_names]
    if lacking:
        listed = ", ".join(f"`{name}`" for name in lacking)
        raise UserError(f"`{file}` must have the columns of events. Missing: {listed}. Write it again.")
    try:
        columns: dict[str, list[Any]] = {
            name: converted(name, table[name], to_text).fillna("").tolist()
            for name in ("user_id", "item_id", "task", "event_type", *_TEXT)
            if name in table.column_names
        }
        for name, convert in _NUMBERS.items():
            if name in table.column_names:
                numbers = converted(name, table[name], convert)
                columns[name] = [None if absent else n for n, absent in zip(numbers, numbers.isna(), strict=True)]
        moments = _microseconds(table["timestamp"])
    except UserError as error:
        raise UserError(f"`{file}`: {error}") from error
    columns["timestamp"], columns["microsecond"] = (part.tolist() for part in np.divmod(moments, MICROSECONDS))
    return [Event(**dict(zip(columns, row, strict=True))) for row in zip(*columns.values(), strict=True)]


def items_of(table: pa.Table, file: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a table of items as fields by id.

    Raises:
        UserError: it has no `item_id`.
    """
    if "item_id" not in table.column_names:
        raise UserError(f"`{file}` must have the column `item_id`. Received: {table.column_names}. Write it again.")
    # A row without an id has the id "", which no store takes.
    ids = converted("item_id", table["item_id"], to_text).fillna("").tolist()
    rows = table.drop_columns(["item_id"]).to_pylist()
    return dict(zip(ids, rows, strict=True))


def _microseconds(column: pa.ChunkedArray) -> Ints:
    """Return times in microseconds since 1970 `[rows]`, 0 for null and for what is no time.

    Raises:
        UserError: the column is of the wrong type.
    """
    column = decoded(column)
    if is_number(column.type):
        # Whole seconds of the calendar; milliseconds and infinity become null, and only their rows are faulty.
        number = column.cast(pa.float64(), safe=False)
        sound = pc.and_(are_whole(number), pc.less_equal(number, float(LAST_SECOND)))
        column = pc.if_else(sound, number, pa.scalar(None, pa.float64()))
    try:
        stamps = to_times(column)
    except ColumnError:
        if not is_text(column.type):
            stamps = converted("timestamp", column, to_times)
        stamps = pd.to_datetime(to_text(column), format="ISO8601", utc=True, errors="coerce").astype(TIMES)
    return np.where(stamps.isna(), 0, stamps.to_numpy("datetime64[us]").astype(np.int64))
