"""Rows that a query gives: DuckDB answers it over files, or a database by ADBC."""

import os
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow.parquet as pq

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import require_extra
from unified_ranker.core.files import whole_file
from unified_ranker.reading.duck import connected, quoted, says, sql_text
from unified_ranker.reading.parquet_rows import ParquetRows
from unified_ranker.reading.raw_rows import RawRows
from unified_ranker.reading.source_files import SourceFile, matching

_VARIABLE = re.compile(r"\$\{(\w+)\}")
_LITERAL = re.compile(r"'((?:[^']|'')+)'")
_POSTGRES = ("postgresql:", "postgres:")


@dataclass(frozen=True)
class QueryRows:
    """Answer of a query, which is asked once and kept in a file.

    Attributes:
        source: with `sql`.
        directory: the project's.
        scratch: file that the answer is kept in.
    """

    source: TableSource
    directory: Path
    scratch: Path

    @property
    def form(self) -> str:
        """The form in words."""
        return "a query" if self.source.database is None else "a query to a database"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns."""
        return self._kept.columns

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield the rows."""
        for rows in self._kept.rows(columns):
            yield RawRows(self.source.name, rows.table, rows.numbers)

    def ask(self) -> None:
        """Ask the query, and keep its answer."""
        self.scratch.parent.mkdir(parents=True, exist_ok=True)
        with whole_file(self.scratch) as draft:
            if self.source.database is None:
                _ask_duckdb(str(self.source.sql), self.directory, draft)
            else:
                _ask_database(str(self.source.sql), self.source.database, draft)

    @cached_property
    def _kept(self) -> ParquetRows:
        self.ask()
        return ParquetRows(SourceFile(self.scratch, "parquet"))


def files_in(sql: str, directory: Path) -> list[Path]:
    """Return the files that the texts of a query name, by paths or patterns; those are what its answer depends on."""
    found: set[Path] = set()
    for text in _LITERAL.findall(sql):
        name = Path(text.replace("''", "'")).expanduser()
        path = directory / name
        if len(str(path)) > 4000 or "\n" in str(name):
            continue
        if path.is_dir():
            found |= {file for file in path.rglob("*") if file.is_file()}
        elif path.is_file():
            found.add(path)
        else:
            found |= {*matching(directory, name)}
    return sorted(found)


def _ask_duckdb(sql: str, directory: Path, target: Path) -> None:
    import duckdb

    with connected(directory) as connection:
        try:
            names = [column[0] for column in connection.execute(f"DESCRIBE {sql.rstrip().rstrip(';')}").fetchall()]
            _require_distinct(names)
            chosen = ", ".join(quoted(name) for name in names)
            asked = f"SELECT {chosen} FROM ({sql.rstrip().rstrip(';')})"  # noqa: S608  # the query is the user's own
            connection.execute(f"COPY ({asked}) TO {sql_text(str(target))} (FORMAT parquet)")
        except duckdb.Error as error:
            raise UserError(
                f"the query `{sql}` failed: {says(error)}. Correct it; paths in it are relative to `{directory}`."
            ) from error


def _ask_database(sql: str, database: str, target: Path) -> None:
    require_extra("sql", "a table from a database")
    if not database.startswith(_POSTGRES):
        raise UserError(
            f"`database` must begin with `postgresql://`. Received: `{database.split(':')[0]}:…`. Other databases that "
            "have an ADBC driver are read by a query of your own into Parquet files (docs/guide/your-own-log.md)."
        )
    import adbc_driver_manager
    from adbc_driver_postgresql import dbapi

    try:
        with dbapi.connect(_with_variables(database)) as connection, connection.cursor() as cursor:
            cursor.execute(sql)
            answer = cursor.fetch_record_batch()
            _require_distinct(answer.schema.names)
            with pq.ParquetWriter(target, answer.schema) as writer:
                for batch in answer:
                    writer.write_batch(batch)
    except adbc_driver_manager.Error as error:
        raise UserError(
            f"the database of `{database}` did not answer `{sql}`: {says(error)}. Correct the query or the address."
        ) from error


def _with_variables(address: str) -> str:
    """Return an address with the values of environment variables; messages show the address without them."""
    missing = [name for name in _VARIABLE.findall(address) if name not in os.environ]
    if missing:
        raise UserError(
            f"`{address}` needs the environment variable `{missing[0]}`. Received: none of this name. Set it."
        )
    return _VARIABLE.sub(lambda found: os.environ[found[1]], address)


def _require_distinct(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise UserError(f"a query must name every column once. Received: `{twice[0]}` twice. Rename one with `AS`.")
