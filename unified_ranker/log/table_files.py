"""Parquet files of a table: their list, and their rows as an Arrow table.

The result is an Arrow table and not a pandas one, because Arrow distinguishes null from NaN: null means that
there is no value, and NaN is a fault that `log.table_checks` reports.
"""

from pathlib import Path

import pyarrow as pa

from unified_ranker.core.errors import UserError, nearest
from unified_ranker.log.parquet_files import is_parquet, open_parquet, own_columns, require_one_form, unreadable


def parquet_table(path: Path) -> pa.Table:
    """Read a Parquet file, or a directory whose `.parquet` files together are the table, in any order.

    Raises:
        UserError: a file is damaged, or one of the directory has other columns or types than the others.
    """
    files = table_files(path)
    if not path.is_dir():
        return _read_parquet(path)
    require_one_form(files)
    tables = [_read_parquet(file) for file in files]
    try:
        return pa.concat_tables(tables, promote_options="permissive")
    except pa.ArrowException as error:
        raise UserError(f"the files in `{path}` have columns of different types: {error}. Write them alike.") from error


def is_parquet_table(path: Path) -> bool:
    """Tell whether a path is a Parquet file, or a directory with `.parquet` files and no folder in it."""
    if not path.is_dir():
        return path.is_file() and is_parquet(path)
    return any(path.glob("*.parquet")) and not any(entry.is_dir() for entry in path.iterdir())


def table_files(source: Path) -> list[Path]:
    """Return the files of a table, in order of their names.

    Raises:
        UserError: there is none.
    """
    source = Path(source)
    if not source.is_dir():
        if not source.exists():
            raise UserError(f"`{source}` does not exist. {what_is_there(source)}")
        return [source]
    files = sorted(source.glob("*.parquet"))
    if not files:
        there = what_is_there(source / "*.parquet")
        raise UserError(f"the directory `{source}` has no `.parquet` file directly in it. {there}")
    return files


def what_is_there(path: Path) -> str:
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
