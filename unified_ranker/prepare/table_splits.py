"""Splits of bounded size of a table in many files, and their reader."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from unified_ranker.core.errors import UserError
from unified_ranker.log.column_types import is_list, is_number, is_text
from unified_ranker.log.schema import LOG_COLUMNS
from unified_ranker.log.table_files import PARQUET_MAGIC, read_table

SPLIT_ROWS = 1_000_000
"""Approximate number of events that a shard reads, which bounds its memory."""


@dataclass(frozen=True)
class Piece:
    """Rows of one source: row groups of a Parquet file, a whole CSV file, or a table in memory."""

    rows: int
    file: Path | None = None
    row_groups: tuple[int, ...] = ()
    table: pa.Table | None = None


TableSplit = tuple[Piece, ...]


def plan_splits(source: Path | pa.Table, rows: int = SPLIT_ROWS) -> list[TableSplit]:
    """Cut the events into splits of about `rows`, reading only the files' footers.

    Raises:
        UserError: a file is missing or damaged, or a column has different types in two files.
    """
    if isinstance(source, pa.Table):
        return [(Piece(len(source), table=source),)]
    files = table_files(source)
    require_one_form(files)
    splits: list[list[Piece]] = [[]]
    for file in files:
        if not is_parquet(file):
            splits.append([Piece(0, file)])
            continue
        footer = _open(file).metadata
        for group in range(footer.num_row_groups):
            count = footer.row_group(group).num_rows
            if splits[-1] and (sum(p.rows for p in splits[-1]) + count > rows or splits[-1][-1].rows == 0):
                splits.append([])
            last = splits[-1]
            if last and last[-1].file == file:
                last[-1] = Piece(last[-1].rows + count, file, (*last[-1].row_groups, group))
            else:
                last.append(Piece(count, file, (group,)))
    return [tuple(split) for split in splits if split] or [(Piece(0, files[0]),)]


def read_split(split: TableSplit) -> list[tuple[Piece, int | None, pa.Table]]:
    """Read the contract's columns of a split: tables with the piece and the row group that they come from.

    Raises:
        UserError: a row group is damaged; the message names file and row group.
    """
    out: list[tuple[Piece, int | None, pa.Table]] = []
    for piece in split:
        if piece.table is not None:
            out.append((piece, None, piece.table))
        elif not piece.row_groups:
            assert piece.file is not None  # noqa: S101  # a piece is a table or lies in a file
            out.append((piece, None, read_table(piece.file)))
        else:
            out += [(piece, group, table) for group, table in _row_groups(piece)]
    return out


def table_files(source: Path) -> list[Path]:
    """Return the files of a table, in order of their names.

    Raises:
        UserError: there is none.
    """
    source = Path(source)
    if not source.is_dir():
        if not source.exists():
            read_table(source)
        return [source]
    files = sorted(source.glob("*.parquet"))
    if not files:
        read_table(source)
    return files


def is_parquet(file: Path) -> bool:
    """Tell whether a file is Parquet, by its first bytes.

    Raises:
        UserError: the file is named `.parquet` and is not Parquet, or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(PARQUET_MAGIC))
    except OSError as error:
        raise UserError(f"`{file}` cannot be read: {error.strerror}. Check its permissions.") from error
    if magic != PARQUET_MAGIC and file.suffix.lower() == ".parquet":
        raise UserError(f"`{file}` is not a Parquet file: it starts with {magic!r}. Write it again, as Parquet.")
    return magic == PARQUET_MAGIC


def require_one_form(files: Sequence[Path]) -> None:
    """Check that all Parquet files have the same columns of the contract, with one kind of type each.

    Raises:
        UserError: with both files, the column and the types.
    """
    first: dict[str, tuple[str, Path, pa.DataType]] = {}
    columns: tuple[Path, set[str]] | None = None
    for file in files:
        if not is_parquet(file):
            continue
        schema = _open(file).schema_arrow
        names = set(schema.names)
        if columns is not None and names != columns[1]:
            listed = ", ".join(f"`{c}`" for c in sorted(names ^ columns[1]))
            raise UserError(
                f"the files of one table must have the same columns. `{columns[0]}` and `{file}` differ in: {listed}. "
                "Write them again, or move the one that is no part of the table."
            )
        columns = columns or (file, names)
        for field in schema:
            kind = kind_of(field.type)
            if kind == "nothing":
                continue
            before, where, was = first.setdefault(field.name, (kind, file, field.type))
            if before != kind:
                raise UserError(
                    f"the files of one table must hold one type in a column. `{field.name}` is {was} in `{where}` "
                    f"and {field.type} in `{file}` (all of its {_open(file).num_row_groups} row groups). "
                    "Write one of them again."
                )


def kind_of(kind: pa.DataType) -> str:
    """Return the kind of an Arrow type; columns of one kind can be read as one column."""
    if pt.is_dictionary(kind):
        kind = kind.value_type
    tests = {
        "nothing": pt.is_null(kind),
        "text": is_text(kind),
        "numbers": is_number(kind),
        "times": pt.is_timestamp(kind) or pt.is_date(kind),
        "lists": is_list(kind),
        "flags": pt.is_boolean(kind),
    }
    return next((name for name, holds in tests.items() if holds), str(kind))


def _open(file: Path) -> pq.ParquetFile:
    try:
        return pq.ParquetFile(file, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"`{file}` cannot be read as Parquet: {error}. Write it again.") from error


def _row_groups(piece: Piece) -> list[tuple[int, pa.Table]]:
    assert piece.file is not None  # noqa: S101  # row groups lie in files
    source = _open(piece.file)
    wanted = [name for name in source.schema_arrow.names if name in LOG_COLUMNS["events"]]
    out = []
    for group in piece.row_groups:
        try:
            out.append((group, source.read_row_group(group, columns=wanted)))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"`{piece.file}`, row group {group} of {source.num_row_groups}, cannot be read: {error}. "
                "Write the file again."
            ) from error
    return out
