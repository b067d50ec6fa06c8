"""Times in two columns: a date, and a time of day or an hour, as one text."""

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.column_types import decoded, is_text

_OF_DATES = (
    (r"[ T]00:00(:00(\.0+)?)?(Z|[+-]00:?00)?$", ""),
    (r"\.0+$", ""),
    (r"^(\d{4})(\d{2})(\d{2})$", r"\1-\2-\3"),
)
"""A date without its midnight, and `20240501` with its hyphens."""
_OF_CLOCKS = (
    (r"\.0+$", ""),
    (r"^(\d{1,2})$", r"\1:00"),
    (r"^(\d{2})(\d{2})$", r"\1:\2"),
    (r"^(\d{2})(\d{2})(\d{2})$", r"\1:\2:\3"),
    (r"^(\d):", r"0\1:"),
)
"""An hour as `09:00`; `0930` and `093015` with their colons."""


def joined_times(columns: Sequence[pa.ChunkedArray]) -> pa.ChunkedArray:
    """Return a date and what follows it as one text, `2024-05-01 09:30`, null where the date is absent, `[rows]`."""
    date, *others = columns
    text = _text(date, _OF_DATES)
    for clock in others:
        blank = pa.scalar(" ", pa.large_string())
        text = pc.binary_join_element_wise(text, pc.fill_null(_text(clock, _OF_CLOCKS), ""), blank)
    return pc.utf8_rtrim_whitespace(text)


def _text(column: pa.ChunkedArray, changes: Sequence[tuple[str, str]]) -> pa.ChunkedArray:
    """Return a column as text in the usual form, null where it means absent."""
    column = decoded(column)
    if pt.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
    text = column.cast(pa.large_string())
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(without_absent(text))
    for old, new in changes:
        text = pc.replace_substring_regex(text, old, new)
    return text
