"""Reader of a table from a Parquet file, a CSV file, or a directory of Parquet files.

The result is an Arrow table and not a pandas one, because Arrow distinguishes null from NaN: null means that
there is no value, and NaN is a fault that `log.table_checks` reports. In a CSV an empty field is null, and the
words `nan` and `inf` are numbers.
"""

import csv
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from unified_ranker.core.errors import UserError, nearest
from unified_ranker.log.column_types import NOT_FINITE, NUMBER
from unified_ranker.log.parquet_files import (
    is_parquet,
    open_parquet,
    own_columns,
    require_one_form,
    sentence,
    unreadable,
)
from unified_ranker.log.schema import LOG_COLUMNS

OTHER_SEPARATORS = {"semicolons": ";", "tabs": "\t", "bars": "|"}
# Columns of the contract that hold numbers; all others of the contract are read as text and typed by
# `normalise`.
NUMBER_COLUMNS = frozenset({"value", "position"})
TEXT_COLUMNS = frozenset(c for table in LOG_COLUMNS.values() for c in table) - NUMBER_COLUMNS


def read_table(path: Path) -> pa.Table:
    """Read one table.

    Args:
        path: a Parquet file, a `.csv` file (UTF-8, with a header, comma-separated), or a directory whose
            `.parquet` files together are the table, in any order and with the same columns.

    Returns:
        `[rows, columns]`. From a CSV, the columns of the contract and every column whose name ends in `_id`
        are text exactly as written ("007" stays "007"); `value`, `position` and other columns in which every
        value reads as a number (none with a leading zero) are numbers; the rest is text.

    Raises:
        UserError: there is no such file, or it cannot be read; the message names the file and what is there
            instead.
    """
    path = Path(path)
    files = table_files(path)
    if path.is_dir():
        return _read_directory(path, files)
    if is_parquet(path):
        return _read_parquet(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    kind = path.suffix or path.name
    raise UserError(f"`{path}` must be a Parquet file, a `.csv` file or a directory. Received: `{kind}`.")


def table_files(source: Path) -> list[Path]:
    """Return the files of a table, in order of their names.

    Raises:
        UserError: there is none.
    """
    source = Path(source)
    if not source.is_dir():
        if not source.exists():
            raise UserError(f"`{source}` does not exist. {_what_is_there(source)}")
        return [source]
    files = sorted(source.glob("*.parquet"))
    if not files:
        there = _what_is_there(source / "*.parquet")
        raise UserError(f"the directory `{source}` has no `.parquet` file directly in it. {there}")
    return files


def _what_is_there(path: Path) -> str:
    """Describe the surroundings of a path that does not exist, with the nearest name."""
    folder = path.parent
    while not folder.is_dir():
        path, folder = folder, folder.parent
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    listed = ", ".join(f"`{n}`" for n in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"`{folder}` holds: {listed or 'nothing'}.{nearest(path.name, names)}"


def _read_parquet(path: Path) -> pa.Table:
    source = open_parquet(path)
    try:
        return source.read([field.name for field in own_columns(source.schema_arrow)])
    except (pa.ArrowException, OSError) as error:
        raise unreadable(path, error) from error


def _read_directory(path: Path, files: list[Path]) -> pa.Table:
    require_one_form(files)
    tables = [_read_parquet(file) for file in files]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"the files in `{path}` have columns of different types: {error}. Write them alike.") from error


def _read_csv(path: Path) -> pa.Table:
    try:
        header = _csv_header(path)
        table = pa_csv.read_csv(
            path,
            # A quoted title may hold a line break.
            parse_options=pa_csv.ParseOptions(newlines_in_values=True),
            convert_options=pa_csv.ConvertOptions(
                column_types={name: pa.large_string() for name in header},
                null_values=[""],
                strings_can_be_null=True,
            ),
        )
    except (pa.ArrowException, OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"`{path}` cannot be read as CSV (UTF-8, commas, a header): {sentence(error)}") from error
    columns = [_typed(name, column) for name, column in zip(header, table.columns, strict=True)]
    return pa.table(columns, names=header)


def _csv_header(path: Path) -> list[str]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file), [])
    twice = sorted({name for name in header if header.count(name) > 1})
    if not header or twice:
        found = f"`{twice[0]}` {header.count(twice[0])} times" if twice else "an empty file"
        raise UserError(f"the first line of `{path}` must name every column once. Received: {found}.")
    other = next((name for name, mark in OTHER_SEPARATORS.items() if len(header) == 1 and mark in header[0]), None)
    if other is not None:
        raise UserError(
            f"`{path}` must be separated by commas. Received: one column, `{header[0]}`, which looks separated by "
            f"{other}. Write it with commas, or as Parquet."
        )
    return header


def _typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a CSV column as numbers when its name or all of its values say that it is one."""
    if name in TEXT_COLUMNS or name.endswith("_id"):
        return column
    numbers = pc.match_substring_regex(column, NUMBER)
    odd = pc.match_substring_regex(column, NOT_FINITE)
    if not pc.all(pc.or_(numbers, odd), min_count=0).as_py():
        return column
    if name not in NUMBER_COLUMNS:
        coded = pc.any(pc.match_substring_regex(column, r"^[+-]?0\d"), min_count=0).as_py()
        if coded or not pc.any(numbers, min_count=0).as_py():
            return column
    whole = pc.all(pc.match_substring_regex(column, r"^[+-]?\d{1,18}$"), min_count=0).as_py()
    signless = pc.replace_substring_regex(column, r"^\+", "")
    return signless.cast(pa.int64() if whole else pa.float64())
