"""Tables as they lie: their names, and their types where the source has any."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.reading.delimited_rows import DelimitedRows
from unified_ranker.reading.json_rows import JsonRows
from unified_ranker.reading.parquet_rows import ParquetRows
from unified_ranker.reading.query_rows import QueryRows
from unified_ranker.reading.raw_rows import RawRows, RawSource
from unified_ranker.reading.source_files import SourceFile, files_of


@dataclass(frozen=True)
class FileRows:
    """Rows of all files of a table, which may have other columns and formats each; a column that one lacks is null."""

    files: tuple[tuple[SourceFile, RawSource], ...]

    @property
    def form(self) -> str:
        """The forms in words."""
        forms = list(dict.fromkeys(reader.form for _, reader in self.files))
        return "; ".join(forms) + (f" ({len(self.files)} files)" if len(self.files) > 1 else "")

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, those of folders last."""
        own = dict.fromkeys(name for _, reader in self.files for name in reader.columns)
        return tuple(own | dict.fromkeys(name for file, _ in self.files for name in file.folders))

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield the rows of each file in turn."""
        for file, reader in self.files:
            folders = {name: value for name, value in file.folders.items() if name not in reader.columns}
            for rows in reader.rows([name for name in columns if name in reader.columns]):
                arrays = {}
                for name in columns:
                    if name in rows.table.column_names:
                        arrays[name] = rows.table[name]
                    elif name in folders:
                        value = pa.scalar(folders[name], pa.string())
                        arrays[name] = pa.chunked_array([pa.repeat(value, len(rows.numbers))])
                    elif name in self.columns:
                        arrays[name] = pa.chunked_array([pa.nulls(len(rows.numbers))])
                yield RawRows(rows.file, pa.table(arrays), rows.numbers, rows.rejected)


def open_table(source: TableSource, directory: Path, scratch: Path) -> RawSource:
    """Open a source of rows.

    Args:
        source: as declared.
        directory: the project's, to which paths are relative.
        scratch: file that the answer of a query is kept in; it must outlive the source.

    Raises:
        UserError: there is no such file, or it is of no form that can be read.
    """
    if source.sql is not None:
        return QueryRows(source, directory, scratch)
    return FileRows(tuple((file, _reader(file, source)) for file in files_of(source, directory)))


def _reader(file: SourceFile, source: TableSource) -> RawSource:
    if file.format == "parquet":
        return ParquetRows(file)
    return JsonRows(file, source) if file.format == "json" else DelimitedRows(file, source)


def raw_table(source: TableSource, directory: Path, rows: int | None = None) -> pa.Table:
    """Read a table as it lies.

    Args:
        source: as declared.
        directory: the project's, to which paths are relative.
        rows: the most rows, evenly chosen from all; None: all.

    Returns:
        `[rows, columns]`. Columns of delimited text and of JSON are text as written, null where empty; nested JSON is
        its text. Others have the types of the source; where its files differ in one, the column is text.

    Raises:
        UserError: the table cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        opened = open_table(source, directory, Path(scratch) / "answer.parquet")
        parts, kept, step, seen = [], 0, 1, 0
        for part in opened.rows(opened.columns):
            chosen = part.table
            if step > 1:
                chosen = chosen.take(pa.array(np.arange(-seen % step, len(chosen), step)))
            seen += len(part.table)
            parts.append(chosen)
            kept += len(chosen)
            while rows is not None and kept > 2 * max(rows, 1):
                # Every second of those kept so far: the number of all rows is known only at the end.
                whole = joined(parts)
                parts = [whole.take(pa.array(np.arange(0, len(whole), 2)))]
                kept, step = len(parts[0]), step * 2
    table = joined(parts)
    if rows is not None and len(table) > rows:
        table = table.take(pa.array(np.linspace(0, len(table) - 1, rows).astype(np.int64)))
    return table


def form_in_words(source: TableSource, directory: Path) -> str:
    """Return the form of a source that was recognised, in words: "text with semicolons between the columns, a header".

    Raises:
        UserError: the source cannot be read.
    """
    with tempfile.TemporaryDirectory() as scratch:
        return open_table(source, directory, Path(scratch) / "answer.parquet").form


def joined(parts: Sequence[pa.Table]) -> pa.Table:
    """Return tables of the same columns as one; a column that has several types in them becomes text.

    Raises:
        UserError: a column is nested in one and not in another.
    """
    columns = {}
    for name in parts[0].column_names if parts else ():
        kinds = {part[name].type for part in parts if not pa.types.is_null(part[name].type)}
        kind = next(iter(kinds), pa.null()) if len(kinds) < 2 else pa.large_string()
        try:
            columns[name] = pa.chunked_array([chunk for part in parts for chunk in part[name].cast(kind).chunks], kind)
        except pa.ArrowException as error:
            listed = ", ".join(sorted(map(str, kinds)))
            raise UserError(
                f"the files of one table must hold one type in a column. Received: `{name}` as {listed}. "
                "Write them alike."
            ) from error
    return pa.table(columns)
