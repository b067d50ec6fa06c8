"""Tables of a project's log in the form of the log: its own files where they have it, else what was read of them."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa

from unified_ranker.config import TableSource, TablesSource
from unified_ranker.core.digests import short_digest
from unified_ranker.core.errors import UserError, nearest
from unified_ranker.log.check import Check
from unified_ranker.log.quarantine import EVENT_FILE, EVENT_ROW
from unified_ranker.log.table_files import parquet_table
from unified_ranker.reading.canonical import as_it_lies, read_sources
from unified_ranker.reading.query_rows import QueryRows, files_in
from unified_ranker.reading.read_log import READ_QUARANTINE, ReadLog
from unified_ranker.reading.source_files import files_of, is_pattern

logger = logging.getLogger(__name__)

READING_FORMAT = "1"
"""Raised when the same files are read otherwise, so that they are read again."""


@dataclass(frozen=True)
class Tables:
    """The three tables as they were read; `users` is None where the project declares none."""

    events: pa.Table
    items: pa.Table
    users: pa.Table | None


@dataclass(frozen=True)
class LogTables:
    """Files of the three tables.

    Attributes:
        events: of the events.
        items: of the items.
        users: of the users; None: those of the events.
        read: the log of their reading; empty where all are used as they lie.
        quarantine: bad rows that the reading found; None: there are none.
    """

    events: Path
    items: Path
    users: Path | None
    read: ReadLog = field(default_factory=ReadLog)
    quarantine: Path | None = None


def files_on_disk(data: TablesSource, directory: Path) -> list[Path]:
    """Return the files that the declared tables are read from, without those of databases.

    Raises:
        UserError: a declared path does not exist.
    """
    found: list[Path] = []
    for name, table in data.tables.items():
        if table.files is None:
            found += files_in(str(table.sql), directory) if table.database is None else []
            continue
        path = directory / table.files.expanduser()
        if is_pattern(table.files) and not path.exists():
            found += [file.path for file in files_of(table, directory)]
            continue
        if not path.exists():
            beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
            raise UserError(
                f"`{path}` does not exist. Received it from `project.yaml`, `data.{name}`. "
                f"Correct the path, or give one with --set project.data.{name}=PATH.{nearest(path.name, beside)}"
            )
        found += files_below(path)
    return found


def files_below(path: Path) -> list[Path]:
    """Return the files in a directory and those below it, or the file itself."""
    return sorted(file for file in path.rglob("*") if file.is_file()) if path.is_dir() else [path]


def with_answers(data: TablesSource, directory: Path, answers: Path, ask: bool) -> TablesSource:
    """Return declarations with files in the place of databases.

    Args:
        data: the declarations.
        directory: the project's.
        answers: directory for the files, one for each table, with the digest of its query in its name.
        ask: whether a database is asked although the answer to the query is kept.
    """
    local: dict[str, TableSource] = {}
    for name, table in data.tables.items():
        if table.database is not None:
            file = answers / f"{name}-{short_digest(str(table.sql), table.database)}.parquet"
            if ask or not file.exists():
                QueryRows(table, directory, file).ask()
                for other in set(answers.glob(f"{name}-*.parquet")) - {file}:
                    other.unlink()
            local[name] = TableSource(files=file.absolute())
    return data.model_copy(update=local) if local else data


def lies_as_read(data: TablesSource, directory: Path) -> bool:
    """Tell whether all tables are in the form of the log, so that their files are used as they lie."""
    return data.items is not None and all(as_it_lies(name, data, directory) for name in data.tables)


def read_into(data: TablesSource, directory: Path, target: Path) -> None:
    """Read the tables into `target`, and say what was recognised."""
    for line in read_sources(data, directory, target).notes:
        logger.info(line)


def tables_of(data: TablesSource, directory: Path, reading: Path | None) -> LogTables:
    """Return the files of the tables.

    Args:
        data: the declarations.
        directory: the project's.
        reading: directory of `read_into`; None where the tables lie as they should.
    """
    read = ReadLog() if reading is None else ReadLog.read(reading)
    files: dict[str, Path] = {
        name: directory / table.files.expanduser() for name, table in data.tables.items() if table.files is not None
    }
    if reading is not None:
        files |= {name: reading / table.file for name, table in read.tables.items() if table.file is not None}
    bad = None if reading is None else reading / READ_QUARANTINE
    return LogTables(
        files["events"], files["items"], files.get("users"), read, bad if bad is not None and bad.exists() else None
    )


def loaded(found: LogTables) -> Tables:
    """Return the tables in memory."""
    events = parquet_table(found.events)
    events = events.drop([name for name in (EVENT_FILE, EVENT_ROW) if name in events.column_names])
    return Tables(events, parquet_table(found.items), None if found.users is None else parquet_table(found.users))


def with_reading(of_reading: Sequence[Check], of_tables: Sequence[Check]) -> list[Check]:
    """Return the checks of a reading, then those of the tables that it made, without what the former refute."""
    refuted = {check.name for check in of_reading if not check.passed}
    return [*of_reading, *(check for check in of_tables if not (check.passed and check.name in refuted))]
