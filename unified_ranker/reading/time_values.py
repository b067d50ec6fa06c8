"""Values of times: a column by its reading, with the rows that it does not fit."""

from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.arrays import Mask
from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.column_types import (
    FIRST_SECOND,
    LAST_SECOND,
    NUMBER,
    as_mask,
    decoded,
    is_number,
    is_text,
    one_array,
)
from unified_ranker.reading.time_reading import DAY_SECONDS, EXCEL_EPOCH, UNITS, TimeReading, likely_windows

UTC_TIME = pa.timestamp("us", "UTC")
_MICROSECONDS = 10**6
_WHOLE = r"^[+-]?(\d{1,18}|[1-8]\d{18})$"
_ZONE_WORDS = r"\s*(UTC|GMT|Z)$"
_MOVING = ("now", "today")
_INNER_ZONE = r" (UTC|GMT) (\d{4})$"


def read_times(column: pa.ChunkedArray, reading: TimeReading) -> tuple[pa.Array, Mask]:
    """Return a column as times, and the rows whose value is none.

    Args:
        column: `[rows]`, of any type.
        reading: as recognised from the whole column, or declared.

    Returns:
        Times `[rows]`, null where absent or unreadable, and the mask of the unreadable ones.
    """
    column = decoded(column)
    if pt.is_timestamp(column.type) or pt.is_date(column.type):
        return _typed(column)
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(without_absent(column.cast(pa.large_string())))
        return _of_text(one_array(text), reading)
    if is_number(column.type):
        if reading.formats:
            whole = one_array(column.cast(pa.float64(), safe=False)).to_numpy(zero_copy_only=False)
            digits = [None if np.isnan(value) else str(int(value)) for value in whole]
            return _of_text(pa.array(digits, pa.large_string()), reading)
        exact = pt.is_integer(column.type) and not pt.is_uint64(column.type)
        numbers = one_array(column.cast(pa.int64() if exact else pa.float64(), safe=False))
        return _of_numbers(numbers, reading)
    absent = one_array(pc.is_null(column)).to_numpy(zero_copy_only=False)
    return pa.nulls(len(column), UTC_TIME), np.asarray(~absent, bool)


def _typed(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    if pt.is_date(column.type):
        column = column.cast(pa.timestamp("s"))
    seconds = column.cast(pa.timestamp("s", column.type.tz), safe=False).cast(pa.int64())
    # In units of a second or more, int64 holds times that overflow as microseconds.
    inside = pc.and_(pc.greater_equal(seconds, FIRST_SECOND), pc.less_equal(seconds, LAST_SECOND))
    good = pc.if_else(inside, column, pa.scalar(None, column.type))
    bad = one_array(pc.fill_null(pc.invert(inside), False)).to_numpy(zero_copy_only=False)
    return one_array(good.cast(pa.timestamp("us", column.type.tz), safe=False).cast(UTC_TIME)), np.asarray(bad, bool)


def _of_text(text: pa.LargeStringArray, reading: TimeReading) -> tuple[pa.Array, Mask]:
    absent = text.is_null().to_numpy(zero_copy_only=False)
    if reading.unit is not None:
        whole = pc.fill_null(pc.match_substring_regex(text, _WHOLE), True)
        if pc.all(whole, min_count=0).as_py():
            return _of_numbers(text.cast(pa.int64()), reading)
        numeric = pc.match_substring_regex(text, NUMBER)
        numbers = pc.if_else(numeric, text, pa.scalar(None, text.type)).cast(pa.float64())
        times, bad = _of_numbers(numbers, reading)
        return times, bad | (~absent & ~as_mask(pc.fill_null(numeric, True)))
    # Few of the texts differ where they are days.
    distinct = text.dictionary_encode()
    if len(distinct.dictionary) * 2 < len(text):
        parsed = pa.array(_parsed(distinct.dictionary, reading.formats), UTC_TIME)
        times = parsed.take(distinct.indices)
    else:
        times = pa.array(_parsed(text, reading.formats), UTC_TIME)
    return times, ~absent & times.is_null().to_numpy(zero_copy_only=False)


def _parsed(text: pa.LargeStringArray, formats: tuple[str, ...]) -> pd.Series:
    """Return texts as times, by the first format that fits each."""
    text = _without_zone_words(text)
    # pandas reads these words as the moment of the reading, whatever the format.
    moving = pc.is_in(pc.utf8_lower(text), value_set=pa.array(_MOVING, text.type))
    values = pd.Series(pc.if_else(moving, pa.scalar(None, text.type), text).to_pandas())
    times: Any = pd.Series(pd.NaT, index=values.index, dtype="datetime64[us, UTC]")
    left = values.notna()
    for form in formats:
        if not left.any():
            break
        found = pd.to_datetime(values[left], format=form, utc=True, errors="coerce").astype("datetime64[us, UTC]")
        times[left] = found
        left = values.notna() & times.isna()
    return times


def _without_zone_words(text: pa.LargeStringArray) -> pa.LargeStringArray:
    """Return text without the words for UTC, which Python's formats do not have."""
    if any(pc.any(pc.ends_with(text, word)).as_py() for word in ("UTC", "GMT", "Z")):
        text = pc.replace_substring_regex(text, _ZONE_WORDS, "")
    if pc.any(pc.match_substring_regex(text.slice(0, 100), _INNER_ZONE)).as_py():
        text = pc.replace_substring_regex(text, _INNER_ZONE, r" \2")
    return text


def _of_numbers(numbers: pa.Array, reading: TimeReading) -> tuple[pa.Array, Mask]:
    absent = numbers.is_null().to_numpy(zero_copy_only=False)
    values = pc.fill_null(numbers, 0).to_numpy(zero_copy_only=False)
    unit = str(reading.unit)
    if unit == "excel":
        values, unit = values - EXCEL_EPOCH, "days"
    seconds = values * float(DAY_SECONDS) if unit == "days" else values / UNITS[unit]
    with np.errstate(invalid="ignore"):
        bad = ~((seconds >= FIRST_SECOND) & (seconds <= LAST_SECOND))
    if reading.recognised:
        bad |= _of_other_unit(values, unit)
    bad &= ~absent
    values = np.where(bad, 0, values)
    if values.dtype.kind == "f":
        factor = _MICROSECONDS * DAY_SECONDS if unit == "days" else _MICROSECONDS / UNITS[unit]
        moments = np.rint(values * factor).astype(np.int64)
    elif unit == "days":
        moments = values * (DAY_SECONDS * _MICROSECONDS)
    elif UNITS[unit] > _MICROSECONDS:
        moments = values // (UNITS[unit] // _MICROSECONDS)
    else:
        moments = values * (_MICROSECONDS // UNITS[unit])
    return pa.array(moments, mask=absent | bad).cast(UTC_TIME), np.asarray(bad, bool)


def _of_other_unit(values: np.ndarray, unit: str) -> Mask:
    """Mark numbers that are no likely times in `unit`, and are in another one: a source that was not converted."""
    fits = {name: (values >= low) & (values <= high) for name, (low, high) in likely_windows().items()}
    own = fits.pop(unit)
    others = np.logical_or.reduce([fits[name] for name in UNITS if name in fits])
    return np.asarray(~own & others, bool)
