"""Connections to DuckDB, which reads JSON and answers queries."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import duckdb


@contextmanager
def connected(directory: Path | None = None) -> Iterator["duckdb.DuckDBPyConnection"]:
    """Yield a connection to a database in memory.

    Args:
        directory: to which paths in queries are relative; None: the present one.
    """
    import duckdb

    with duckdb.connect() as connection:
        # Times are ours in UTC, whatever the machine's zone is.
        connection.execute("SET TimeZone = 'UTC'")
        # Its bar would stand among the lines of a command.
        connection.execute("SET enable_progress_bar = false")
        if directory is not None:
            connection.execute("SET file_search_path = $1", [str(directory)])
        yield connection


def says(error: Exception) -> str:
    """Return the first line of what DuckDB says."""
    return str(error).split("\n")[0].rstrip(". ")


def sql_text(text: str) -> str:
    """Return a text as SQL has it."""
    return "'" + text.replace("'", "''") + "'"


def quoted(name: str) -> str:
    """Return a name as SQL has it."""
    return '"' + name.replace('"', '""') + '"'
