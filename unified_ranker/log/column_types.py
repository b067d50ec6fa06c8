"""Converters of one Arrow column into one column of the interaction log; an error lists the values that do not fit.

Every converter takes a `pyarrow.ChunkedArray` `[rows]` and returns a `pandas.Series` `[rows]`. Null means
absent and is kept; a value that the target type cannot hold raises `ColumnError` with the count and the first
three of them.
"""

import re
from collections.abc import Callable
from typing import Any, Final, Literal

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.arrays import Mask
from unified_ranker.log.absent_words import ABSENT_WORDS, without_absent

Converter = Callable[[pa.ChunkedArray], pd.Series]

TIMES: Final = "datetime64[us, UTC]"
LIST_SEPARATOR = "|"
MAX_EXAMPLES = 3
# Python's and pandas' calendars end with these years; in seconds since 1970.
FIRST_SECOND, LAST_SECOND = -62135596800, 253402300799
# Whole numbers up to here are exact in float64, which is what pandas makes of integers with nulls.
EXACT_FLOAT = 2**53
COUNTRY_CODE = "[A-Z]{2}"
"""Form of a country, ISO 3166 alpha-2, as a regular expression."""
TEXT: Any = pd.StringDtype(storage="pyarrow", na_value=np.nan)
NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
NOT_FINITE = r"(?i)^[+-]?(nan|inf|infinity)$"


class ColumnError(ValueError):
    """Error: a column holds values that its type does not allow.

    Attributes:
        rule: what every value must be, to be read after the column's name ("is a time").
        found: description of the values that break it.
        remedy: the remedy.
        count: number of such rows; 0 when it is the whole column.
        examples: up to three of the values, as text.
    """

    def __init__(self, rule: str, found: str, remedy: str, bad: pa.ChunkedArray | None = None) -> None:
        super().__init__(f"{rule}: {found}")
        self.rule = rule
        self.found = found
        self.remedy = remedy
        self.count = 0 if bad is None else len(bad)
        self.examples = () if bad is None else tuple(str(v) for v in bad.slice(0, MAX_EXAMPLES).to_pylist())


def one_array(column: pa.Array | pa.ChunkedArray) -> Any:
    """Return a column as one array."""
    return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column


def as_mask(column: pa.Array | pa.ChunkedArray) -> Mask:
    """Return a column of truth values without null as a mask `[rows]`."""
    return np.asarray(one_array(column).to_numpy(zero_copy_only=False), bool)


def is_text(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds text."""
    return pt.is_string(kind) or pt.is_large_string(kind) or pt.is_string_view(kind)


def is_number(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds numbers (booleans are not numbers here)."""
    return pt.is_integer(kind) or pt.is_floating(kind) or pt.is_decimal(kind)


def is_country(text: str) -> bool:
    """Tell whether a text has the form of a country."""
    return re.fullmatch(COUNTRY_CODE, text) is not None


def is_list(kind: pa.DataType) -> bool:
    """Return whether an Arrow type holds lists."""
    return pt.is_list(kind) or pt.is_large_list(kind) or pt.is_fixed_size_list(kind) or pt.is_list_view(kind)


def decoded(column: pa.ChunkedArray) -> pa.ChunkedArray:
    """Return the column without dictionary encoding, which affects storage and not values."""
    return column.cast(column.type.value_type) if pt.is_dictionary(column.type) else column


def are_whole(column: pa.ChunkedArray | pa.Array) -> Any:
    """Mark floats that are whole numbers, and small enough to be exact."""
    return pc.and_(pc.equal(pc.floor(column), column), pc.less_equal(pc.abs(column), float(EXACT_FLOAT)))


def whole_numbers(column: pa.ChunkedArray, rule: str, remedy: str) -> pa.ChunkedArray:
    """Return a float column as int64; a fraction, NaN or infinity in it raises `ColumnError`."""
    column = column.cast(pa.float64())
    bad = column.filter(pc.invert(are_whole(column)))
    if len(bad):
        raise ColumnError(rule, "numbers with a fraction, or not finite", remedy, bad)
    return column.cast(pa.int64())


def to_text(column: pa.ChunkedArray) -> pd.Series:
    """Return text as pandas `str`, null where it means absent; whole numbers become their digits ("12", not "12.0")."""
    column = decoded(column)
    rule, remedy = "is text", "store it as a string"
    if pt.is_floating(column.type):
        column = whole_numbers(column, rule, remedy)
    if not (is_text(column.type) or pt.is_integer(column.type) or pt.is_null(column.type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    return pd.Series(TEXT.__from_arrow__(without_absent(column.cast(pa.large_string()))))


def to_times(column: pa.ChunkedArray) -> pd.Series:
    """Return times as `datetime64[us, UTC]`.

    Accepted: timestamps and dates (without a zone: UTC), ISO 8601 text, and whole numbers (or text of nine or
    more digits) as **seconds** since 1970. Milliseconds since 1970 are refused: read as seconds, they lie far
    beyond the year 9999. Fractions of a microsecond are cut off.
    """
    column = decoded(column)
    rule, remedy = (
        "is a time",
        "store it as a timestamp, as ISO 8601 text (2024-05-01T12:00:00Z) or in epoch seconds",
    )
    if pt.is_null(column.type):
        return pd.Series(pd.NaT, index=range(len(column)), dtype=TIMES)
    if is_text(column.type):
        return _times_of_text(column, rule, remedy)
    if pt.is_floating(column.type):
        column = whole_numbers(column, rule, remedy)
    if pt.is_integer(column.type):
        return _times_of_seconds(column, rule, remedy)
    if not (pt.is_timestamp(column.type) or pt.is_date(column.type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    if pt.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    # In units of a second or more, int64 holds times far beyond the calendar, which would overflow as microseconds.
    seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False).cast(pa.int64())
    outside = pc.or_(pc.less(seconds, FIRST_SECOND), pc.greater(seconds, LAST_SECOND))
    bad = seconds.filter(pc.fill_null(outside, False))
    if len(bad):
        raise ColumnError(rule, "seconds since 1970 outside the years 1 to 9999", remedy, bad)
    return column.cast(pa.timestamp("us", "UTC"), safe=False).to_pandas().astype(TIMES)


def _times_of_seconds(column: pa.ChunkedArray, rule: str, remedy: str) -> pd.Series:
    outside = pc.or_(pc.less(column, FIRST_SECOND), pc.greater(column, LAST_SECOND))
    bad = column.filter(pc.fill_null(outside, False))
    if len(bad):
        found = "whole numbers that, as seconds since 1970, lie outside the years 1 to 9999 (milliseconds?)"
        raise ColumnError(rule, found, remedy, bad)
    return (
        column.cast(pa.int64()).cast(pa.timestamp("s", "UTC")).cast(pa.timestamp("us", "UTC")).to_pandas().astype(TIMES)
    )


def _times_of_text(column: pa.ChunkedArray, rule: str, remedy: str) -> pd.Series:
    column = without_absent(column.cast(pa.large_string()))
    digits = pc.fill_null(pc.match_substring_regex(column, r"^\s*-?\d{9,}\s*$"), False)
    numeric = pc.all(pc.or_(digits, pc.is_null(column))).as_py() and pc.any(digits).as_py()
    if numeric:
        return _times_of_seconds(pc.utf8_trim_whitespace(column).cast(pa.int64()), rule, remedy)
    times = pd.to_datetime(to_text(column), format="ISO8601", utc=True, errors="coerce")
    bad = column.filter(pa.array(times.isna())).drop_null()
    if len(bad):
        raise ColumnError(rule, "text that is not an ISO 8601 time", remedy, bad)
    return times.astype(TIMES)


def to_numbers(column: pa.ChunkedArray, dtype: Literal["float32", "float64"] = "float64") -> pd.Series:
    """Return numbers as floats of `dtype`, null as NaN. NaN and infinity pass; `log.table_checks` reports them."""
    column = decoded(column)
    rule, remedy = "is a number", "store it as a number, and null where there is none"
    if is_text(column.type):
        bad = column.filter(pc.invert(pc.match_substring_regex(column, NUMBER)))
        raise ColumnError(rule, "text", remedy, bad if len(bad) else column.drop_null())
    if not (is_number(column.type) or pt.is_null(column.type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    wide = column.cast(pa.float64(), safe=False)
    values = wide.to_numpy()
    with np.errstate(over="ignore"):
        narrow = values.astype(dtype)
    overflow = np.isinf(narrow) & ~np.isinf(values)
    if overflow.any():
        raise ColumnError(f"fits in {dtype}", "numbers that are too large", remedy, wide.filter(pa.array(overflow)))
    return pd.Series(narrow)


def to_strengths(column: pa.ChunkedArray) -> pd.Series:
    """Return graded strengths as float32, null as NaN."""
    return to_numbers(column, "float32")


def to_integers(column: pa.ChunkedArray) -> pd.Series:
    """Return whole numbers as pandas `Int64`."""
    column = decoded(column)
    rule, remedy = "is a whole number", "store it as an integer, and null where there is none"
    if pt.is_floating(column.type):
        column = whole_numbers(column, rule, remedy)
    if not (pt.is_integer(column.type) or pt.is_null(column.type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    if pt.is_uint64(column.type):
        bad = column.filter(pc.greater(column, pa.scalar(2**63 - 1, pa.uint64())))
        if len(bad):
            raise ColumnError(rule, "numbers above 2**63 - 1", remedy, bad)
    return column.cast(pa.int64()).to_pandas(types_mapper={pa.int64(): pd.Int64Dtype()}.get)


def to_flags(column: pa.ChunkedArray) -> pd.Series:
    """Return truth values as `bool`, null as False; "true" and "false" are read as such."""
    column = decoded(column)
    rule, remedy = "is true or false", "store it as a boolean"
    if is_text(column.type):
        lower = pc.utf8_lower(column)
        known = pc.is_in(lower, value_set=pa.array(["true", "false"], lower.type))
        bad = column.filter(pc.invert(known)).drop_null()
        if len(bad):
            raise ColumnError(rule, "other text", remedy, bad)
        column = pc.equal(lower, "true")
    if not (pt.is_boolean(column.type) or pt.is_null(column.type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    return pc.fill_null(column.cast(pa.bool_()), False).to_pandas().astype(bool)


def to_availability(column: pa.ChunkedArray) -> pd.Series:
    """Return truth values as `to_flags` does, but True where absent; 1 and 0 are read as such, too."""
    column = decoded(column)
    if pt.is_floating(column.type):
        column = whole_numbers(column, "is true or false", "store it as a boolean")
    if pt.is_integer(column.type):
        number = column.cast(pa.string())
        column = pc.replace_substring_regex(pc.replace_substring_regex(number, "^1$", "true"), "^0$", "false")
    if pt.is_null(column.type):
        column = column.cast(pa.bool_())
    if is_text(column.type):
        column = without_absent(column)
    return to_flags(pc.fill_null(column, "true" if is_text(column.type) else True))


def to_lists(column: pa.ChunkedArray) -> pd.Series:
    """Return lists of `str`, [] for null, without elements that mean absent.

    Text holds its elements between `|`, because a CSV has no lists.
    """
    column = decoded(column)
    rule, remedy = (
        "is a list of text",
        f"store it as a list of strings, or as text with `{LIST_SEPARATOR}` between",
    )
    if is_text(column.type):
        column = pc.split_pattern(column, LIST_SEPARATOR)
    if pt.is_null(column.type):
        return _objects([[] for _ in range(len(column))])
    value_type = column.type.value_type if is_list(column.type) else None
    if value_type is None or not (is_text(value_type) or pt.is_integer(value_type) or pt.is_null(value_type)):
        raise ColumnError(rule, f"a column of type {column.type}", remedy)
    lists = column.cast(pa.large_list(pa.large_string())).to_pylist()
    return _objects([[e.strip() for e in row or () if e and e.strip() not in ABSENT_WORDS] for row in lists])


def to_feature(column: pa.ChunkedArray) -> pd.Series:
    """Return a column that only a tower names, in the type that the source gives it.

    Text → `str`, integers → `Int64`, other numbers → `float64`, booleans → `boolean`, times →
    `datetime64[us, UTC]`, lists of text → lists of `str`; anything else → Python objects as Arrow gives them.
    """
    column = decoded(column)
    kind = column.type
    if is_text(kind) or pt.is_null(kind):
        return to_text(column)
    if pt.is_integer(kind):
        return to_integers(column)
    if is_number(kind):
        return to_numbers(column)
    if pt.is_boolean(kind):
        return column.to_pandas(types_mapper={pa.bool_(): pd.BooleanDtype()}.get)
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return to_times(column)
    if is_list(kind) and is_text(kind.value_type):
        return to_lists(column)
    return _objects(column.to_pylist())


def _objects(values: list[Any]) -> pd.Series:
    return pd.Series(values, dtype=object)
