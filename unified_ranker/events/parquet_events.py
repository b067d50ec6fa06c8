"""Events and items of Parquet tables, as of a nightly export."""

from pathlib import Path
from typing import Any

import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.core.event import Event
from unified_ranker.core.times import seconds
from unified_ranker.events.growing_directory import GrowingDirectory
from unified_ranker.log.column_types import to_numbers, to_text
from unified_ranker.log.schema import REQUIRED
from unified_ranker.log.strict_columns import converted, times_of

_TEXT = ("query", "source_item_id", "country", "request_id")


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

    Raises:
        UserError: a column is missing or of the wrong type, or a row lacks a required value.
    """
    lacking = [name for name in REQUIRED["events"] if name not in table.column_names]
    if lacking:
        listed = ", ".join(f"`{name}`" for name in lacking)
        raise UserError(f"`{file}` must have the columns of events. Missing: {listed}. Write it again.")
    try:
        text = {
            name: converted(name, table[name], to_text).fillna("").tolist()
            for name in ("user_id", "item_id", "task", "event_type", *_TEXT)
            if name in table.column_names
        }
        times = times_of("timestamp", table["timestamp"]).tolist()
        values = _values(table)
    except UserError as error:
        raise UserError(f"`{file}`: {error}") from error
    empty = [name for name in REQUIRED["events"][1:4] if "" in text[name]] + (["timestamp"] if 0 in times else [])
    if empty:
        raise UserError(f"`{file}`: every event must have `{empty[0]}`. Received: null or blank. Correct the rows.")
    rows = [dict(zip(text, row, strict=True)) for row in zip(*text.values(), strict=True)]
    return [Event(**row, timestamp=time, value=value) for row, time, value in zip(rows, times, values, strict=True)]


def items_of(table: pa.Table, file: Path) -> dict[str, dict[str, Any]]:
    """Return the rows of a table of items as fields by id.

    Raises:
        UserError: it has no `item_id`.
    """
    if "item_id" not in table.column_names:
        raise UserError(f"`{file}` must have the column `item_id`. Received: {table.column_names}. Write it again.")
    ids = converted("item_id", table["item_id"], to_text).tolist()
    rows = table.drop_columns(["item_id"]).to_pylist()
    out = dict(zip(ids, rows, strict=True))
    for fields in out.values():
        if "created_at" in fields and fields["created_at"] is not None and not isinstance(fields["created_at"], int):
            fields["created_at"] = int(seconds([fields["created_at"].replace(tzinfo=None)])[0])
    return out


def _values(table: pa.Table) -> list[float | None]:
    if "value" not in table.column_names:
        return [None] * len(table)
    numbers = converted("value", table["value"], to_numbers)
    return [None if number != number else float(number) for number in numbers]
