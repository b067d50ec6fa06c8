"""Tables in memory: columns of text become numbers where all of their values are."""

import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.column_types import NOT_FINITE, NUMBER, decoded, is_text
from unified_ranker.log.schema import LOG_COLUMNS
from unified_ranker.log.table_files import is_parquet_table, parquet_table
from unified_ranker.reading.raw import joined, open_table

NUMBER_COLUMNS = frozenset({"value", "position"})
"""Columns of the contract that hold numbers; the others of the contract are text until `log.schema` types them."""
_TEXT_COLUMNS = frozenset(c for table in LOG_COLUMNS.values() for c in table) - NUMBER_COLUMNS


def read_table(path: Path) -> pa.Table:
    """Read one table of a file or directory, all of whose rows must be good.

    Returns:
        `[rows, columns]`. From text and JSON, the columns of the contract and every column whose name ends in `_id`
        are text exactly as written ("007" stays "007"); `value`, `position` and other columns in which every
        value reads as a number (none with a leading zero) are numbers; the rest is text.

    Raises:
        UserError: there is no such file, or it cannot be read; the message names the file and the row.
    """
    path = Path(path)
    if is_parquet_table(path):
        return parquet_table(path)
    parts = []
    with tempfile.TemporaryDirectory() as scratch:
        opened = open_table(TableSource(files=path.absolute()), path.parent, Path(scratch))
        for part in opened.rows(opened.columns):
            for bad in part.rejected:
                raise UserError(
                    f"`{part.file}`, row {bad.row} (from 0): a row {bad.rule}. Received: `{bad.text[:100]}`. "
                    "Correct it."
                )
            parts.append(part.table)
    table = joined(parts)
    return pa.table({name: typed(name, table[name]) for name in table.column_names})


def typed(name: str, column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return a column of text as numbers when its name or all of its values say that it is one."""
    if name in _TEXT_COLUMNS or name.endswith("_id") or not is_text(decoded(column).type):
        return column
    text = without_absent(decoded(column).cast(pa.large_string()))
    numbers = pc.match_substring_regex(text, NUMBER)
    odd = pc.match_substring_regex(text, NOT_FINITE)
    if not pc.all(pc.or_(numbers, odd), min_count=0).as_py():
        return column
    if name not in NUMBER_COLUMNS:
        coded = pc.any(pc.match_substring_regex(text, r"^[+-]?0\d"), min_count=0).as_py()
        if coded or not pc.any(numbers, min_count=0).as_py():
            return column
    whole = pc.all(pc.match_substring_regex(text, r"^[+-]?\d{1,18}$"), min_count=0).as_py()
    signless = pc.replace_substring_regex(text, r"^\+", "")
    return signless.cast(pa.int64() if whole else pa.float64())
