"""Where new events and items come from: the service's own event log, or directories of Parquet that grow."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import write_whole
from unified_ranker.events.event import Event
from unified_ranker.events.history_store import HistoryStore
from unified_ranker.log.column_types import to_numbers, to_optional_text, to_text
from unified_ranker.prepare.examples import seconds
from unified_ranker.serving.answering.request_columns import converted, times_of

REQUIRED = ("user_id", "item_id", "task", "event_type", "timestamp")
_TEXT = ("query", "source_item_id", "country", "request_id")


class GrowingDirectory:
    """Files of Parquet, each told once, in order of their names.

    A file that cannot be read yet is being written: it is looked at again. One that has not grown since and still
    cannot be read is a fault. Names that begin with `.` or `_` are no tables.
    """

    def __init__(self, directory: Path, seen: Path | None = None) -> None:
        """Follow `directory`; the file `seen` keeps which names were taken in, from one run to the next.

        Raises:
            UserError: there is no such directory.
        """
        if not directory.is_dir():
            raise UserError(
                f"`{directory}` must be a directory of Parquet tables. Received: none there. Make it first."
            )
        self.directory, self._file = directory, seen
        self._seen: set[str] = set(json.loads(seen.read_text())) if seen is not None and seen.is_file() else set()
        self._unreadable: dict[str, int] = {}

    def new(self) -> list[tuple[str, pa.Table]]:
        """Return the tables that came since, by name.

        Raises:
            UserError: one cannot be read, and does not grow.
        """
        found = []
        for file in sorted(self.directory.glob("*.parquet")):
            if file.name in self._seen or file.name.startswith((".", "_")):
                continue
            size = file.stat().st_size
            try:
                found.append((file.name, pq.read_table(file)))
            except (pa.ArrowException, OSError) as error:
                if self._unreadable.get(file.name) == size:
                    raise UserError(
                        f"`{file}` cannot be read as Parquet, and does not grow: {error}. Write it again, or remove it."
                    ) from error
                self._unreadable[file.name] = size
        return found

    def done(self, names: list[str]) -> None:
        """Note that tables were taken in."""
        if not names:
            return
        self._seen.update(names)
        if self._file is not None:
            write_whole(self._file, json.dumps(sorted(self._seen)))


class EventFeed:
    """Takes events from a growing directory over into a store of histories, where they are followed like any others."""

    def __init__(self, directory: GrowingDirectory, histories: HistoryStore) -> None:
        """Feed `histories` from `directory`."""
        self._directory, self._histories = directory, histories

    def poll(self) -> int:
        """Take in what came; returns how many events were new. Events that are told twice count once.

        Raises:
            UserError: a table is no table of events.
            StoreError: they cannot be kept.
        """
        new = 0
        for name, table in self._directory.new():
            new += self._histories.append(events_of(table, self._directory.directory / name))
            self._directory.done([name])
        return new


def events_of(table: pa.Table, file: Path) -> list[Event]:
    """Return the rows of a table of events (design section 3).

    Raises:
        UserError: a column is missing or of the wrong type, or a row lacks what every event has.
    """
    lacking = [name for name in REQUIRED if name not in table.column_names]
    if lacking:
        listed = ", ".join(f"`{name}`" for name in lacking)
        raise UserError(f"`{file}` must have the columns of events. Missing: {listed}. Write it again.")
    try:
        text = {
            name: converted(name, table[name], to_optional_text).fillna("").tolist()
            for name in ("user_id", "item_id", "task", "event_type", *_TEXT)
            if name in table.column_names
        }
        times = times_of("timestamp", table["timestamp"]).tolist()
        values = _values(table)
    except UserError as error:
        raise UserError(f"`{file}`: {error}") from error
    empty = [name for name in REQUIRED[1:4] if "" in text[name]] + (["timestamp"] if 0 in times else [])
    if empty:
        raise UserError(f"`{file}`: every event must have `{empty[0]}`. Received: null or blank. Mend the rows.")
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
