"""Reader of a table from a Parquet file, a CSV file, or a directory of Parquet files.

The result is an Arrow table and not a pandas one, because Arrow distinguishes null from NaN: null means that
there is no value, and NaN is a fault that `log.table_checks` reports. In a CSV an empty field is null, and the
words `nan` and `inf` are numbers.
"""

import csv
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError, nearest
from unified_ranker.log.column_types import NOT_FINITE, NUMBER
from unified_ranker.log.schema import LOG_COLUMNS

PARQUET_MAGIC = b"PAR1"
PANDAS_INDEX = re.compile(r"__index_level_\d+__")
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
    if path.is_dir():
        return _read_directory(path)
    if not path.exists():
        raise UserError(f"`{path}` does not exist. {_what_is_there(path)}")
    try:
        with path.open("rb") as file:
            magic = file.read(len(PARQUET_MAGIC))
    except OSError as error:
        raise UserError(f"`{path}` cannot be read: {error.strerror}. Check its permissions.") from error
    if magic == PARQUET_MAGIC:
        return _read_parquet(path)
    if path.suffix.lower() == ".csv":
        return _read_csv(path)
    if path.suffix.lower() == ".parquet":
        raise UserError(f"`{path}` is not a Parquet file: it starts with {magic!r}. Write it again, as Parquet.")
    kind = path.suffix or path.name
    raise UserError(f"`{path}` must be a Parquet file, a `.csv` file or a directory. Received: `{kind}`.")


def _what_is_there(path: Path) -> str:
    """Describe the surroundings of a path that does not exist, with the nearest name."""
    folder = path.parent
    while not folder.is_dir():
        path, folder = folder, folder.parent
    names = sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith("."))
    listed = ", ".join(f"`{n}`" for n in names[:10]) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
    return f"`{folder}` holds: {listed or 'nothing'}.{nearest(path.name, names)}"


def _read_parquet(path: Path) -> pa.Table:
    try:
        # A single file by handle: by path, Arrow would read folder names such as `year=2020` as columns.
        with path.open("rb") as file:
            table = pq.read_table(file)
    except (pa.ArrowException, OSError) as error:
        raise UserError(f"`{path}` cannot be read as Parquet: {_sentence(error)} Write it again.") from error
    # The column in which pandas stores its row index.
    return table.drop_columns([name for name in table.column_names if PANDAS_INDEX.fullmatch(name)])


def _read_directory(path: Path) -> pa.Table:
    files = sorted(path.glob("*.parquet"))
    if not files:
        there = _what_is_there(path / "*.parquet")
        raise UserError(f"the directory `{path}` has no `.parquet` file directly in it. {there}")
    tables = [_read_parquet(file) for file in files]
    for file, table in zip(files, tables, strict=True):
        if set(table.column_names) != set(tables[0].column_names):
            different = sorted(set(table.column_names) ^ set(tables[0].column_names))
            listed = ", ".join(f"`{c}`" for c in different)
            raise UserError(
                f"the files of one table must have the same columns. `{files[0]}` and `{file}` "
                f"differ in: {listed}. Write them again, or move the one that is no part of the table."
            )
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
        raise UserError(f"`{path}` cannot be read as CSV (UTF-8, commas, a header): {_sentence(error)}") from error
    columns = [_typed(name, column) for name, column in zip(header, table.columns, strict=True)]
    return pa.table(columns, names=header)


def _sentence(error: Exception) -> str:
    """Return what a library says, ended by one full stop."""
    return f"{str(error).rstrip('. ')}."


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
