"""Parquet files of one table: what they must have in common."""

import re
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from unified_ranker.core.errors import UserError
from unified_ranker.log.column_types import is_list, is_number, is_text

_MAGIC = b"PAR1"
_PANDAS_INDEX = re.compile(r"__index_level_\d+__")


def is_parquet(file: Path) -> bool:
    """Tell whether a file is Parquet, by its first bytes.

    Raises:
        UserError: the file is named `.parquet` and is not Parquet, or cannot be read.
    """
    try:
        with file.open("rb") as stream:
            magic = stream.read(len(_MAGIC))
    except OSError as error:
        raise UserError(f"`{file}` cannot be read: {error.strerror}. Check its permissions.") from error
    if magic != _MAGIC and file.suffix.lower() == ".parquet":
        raise UserError(f"`{file}` is not a Parquet file: it starts with {magic!r}. Write it again, as Parquet.")
    return magic == _MAGIC


def open_parquet(file: Path) -> pq.ParquetFile:
    """Open a Parquet file, whose pages are checked against their checksums when they are read.

    Raises:
        UserError: its footer cannot be read.
    """
    try:
        # By its file alone: Arrow's reader of data sets would take folder names such as `year=2020` for columns.
        return pq.ParquetFile(file, page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise unreadable(file, error) from error


def unreadable(file: Path, error: Exception) -> UserError:
    """Return the error about a file that is no whole Parquet file."""
    return UserError(f"`{file}` cannot be read as Parquet: {sentence(error)} Write it again.")


def sentence(error: Exception) -> str:
    """Return what a library says, ended by one full stop."""
    return f"{str(error).rstrip('. ')}."


def own_columns(schema: pa.Schema) -> list[pa.Field]:
    """Return the columns of a table, without those in which pandas stores its row index."""
    return [field for field in schema if not _PANDAS_INDEX.fullmatch(field.name)]


def require_one_form(files: Sequence[Path]) -> None:
    """Check that all Parquet files have the same columns, with one kind of type each.

    Raises:
        UserError: with both files, the column and the types.
    """
    first: dict[str, tuple[str, Path, pa.DataType]] = {}
    columns: tuple[Path, set[str]] | None = None
    for file in files:
        if not is_parquet(file):
            continue
        source = open_parquet(file)
        own = own_columns(source.schema_arrow)
        names = {field.name for field in own}
        if columns is not None and names != columns[1]:
            listed = ", ".join(f"`{c}`" for c in sorted(names ^ columns[1]))
            raise UserError(
                f"the files of one table must have the same columns. `{columns[0]}` and `{file}` differ in: {listed}. "
                "Write them again, or move the one that is no part of the table."
            )
        columns = columns or (file, names)
        for field in own:
            kind = kind_of(field.type)
            if kind == "nothing":
                continue
            before, where, was = first.setdefault(field.name, (kind, file, field.type))
            if before != kind:
                raise UserError(
                    f"the files of one table must hold one type in a column. `{field.name}` is {was} in `{where}` "
                    f"and {field.type} in `{file}` (all of its {source.num_row_groups} row groups). "
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
