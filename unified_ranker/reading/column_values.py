"""Values of one column in the form of the log, and the rows that do not fit it."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.arrays import Mask
from unified_ranker.log.absent_words import ABSENT_WORDS, without_absent
from unified_ranker.log.column_types import (
    NOT_FINITE,
    NUMBER,
    are_whole,
    as_mask,
    decoded,
    is_number,
    is_text,
    one_array,
)
from unified_ranker.reading.column_plan import PlannedColumn
from unified_ranker.reading.id_values import to_id_text
from unified_ranker.reading.joined_times import joined_times
from unified_ranker.reading.time_reading import TimeReading
from unified_ranker.reading.time_values import read_times


@dataclass(frozen=True)
class Readings:
    """Readings of the columns of all tables, found before their values are read.

    Attributes:
        times: reading of each column of times, by table and name.
        repaired: names of columns with identifiers in which `9.0` is `9`.
    """

    times: dict[tuple[str, str], TimeReading] = field(default_factory=dict)
    repaired: frozenset[str] = frozenset()


def column_values(table: str, planned: PlannedColumn, raw: pa.Table, readings: Readings) -> tuple[pa.Array, Mask, str]:
    """Return a column in the form of the log.

    Args:
        table: `events`, `items` or `users`.
        planned: the column.
        raw: the rows as they lie.
        readings: of all tables.

    Returns:
        Values `[rows]`, the mask of rows with a value that does not fit, and the rule that these break.
    """
    column = source_column(planned, raw)
    rule = f"{table}.{planned.name} {_RULES.get(planned.kind, 'is text')}"
    if planned.kind == "time":
        return *read_times(column, readings.times[table, planned.name]), rule
    if planned.kind == "id":
        return *to_id_text(column, planned.name in readings.repaired), rule
    return *_CONVERTERS[planned.kind](column), rule


def source_column(planned: PlannedColumn, raw: pa.Table) -> pa.ChunkedArray:
    """Return the column of the source, or the constant, with the declared values in place of theirs."""
    source = planned.source
    if not source.theirs:
        value = pa.scalar(None, pa.string()) if source.value in ABSENT_WORDS else pa.scalar(source.value)
        return pa.chunked_array([pa.repeat(value, len(raw))])
    column = raw[source.theirs[0]] if len(source.theirs) == 1 else joined_times([raw[name] for name in source.theirs])
    column = _renamed(column, source.values, planned.kind == "number") if source.values else column
    if source.spelling is None:
        return column
    text = pc.utf8_trim_whitespace(_to_text(column)[0])
    return pa.chunked_array([pc.utf8_lower(text) if source.spelling == "lower" else text])


def _renamed(column: pa.ChunkedArray, values: dict[str, str], numeric: bool) -> pa.ChunkedArray:
    """Return text with values of ours; of numbers `99` is also `99.0`, as pandas writes it beside nulls."""
    text, _ = _to_text(decoded(column))
    coded = text.dictionary_encode()
    numbers = {float(theirs): ours for theirs, ours in values.items() if numeric and re.match(NUMBER, theirs)}

    def ours_of(theirs: str) -> str:
        bare = theirs.strip()
        if bare not in values and numbers and re.match(NUMBER, bare):
            return numbers.get(float(bare), theirs)
        return values.get(bare, theirs)

    new = pa.array([ours_of(value) for value in coded.dictionary.to_pylist()], pa.large_string())
    return pa.chunked_array([new.take(coded.indices)])


def _to_text(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    """Return text; numbers and truth values as they are written, whole numbers without a point."""
    column = decoded(column)
    if pt.is_boolean(column.type) or pt.is_timestamp(column.type) or pt.is_date(column.type):
        return one_array(column.cast(pa.large_string())), np.zeros(len(column), bool)
    text, bad = to_id_text(column)
    if bad.any() and is_number(column.type):
        return one_array(pc.if_else(pa.array(bad), one_array(column.cast(pa.large_string())), text)), np.zeros(
            len(column), bool
        )
    return text, bad


def _to_number(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    column = decoded(column)
    if is_text(column.type):
        text = pc.utf8_trim_whitespace(without_absent(column.cast(pa.large_string())))
        numeric = pc.or_(pc.match_substring_regex(text, NUMBER), pc.match_substring_regex(text, NOT_FINITE))
        good = pc.if_else(numeric, pc.replace_substring_regex(text, r"^\+", ""), pa.scalar(None, text.type))
        return one_array(good.cast(pa.float64())), _failed(numeric)
    if pt.is_boolean(column.type):
        column = column.cast(pa.int8())
    if is_number(column.type) or pt.is_null(column.type):
        return one_array(column.cast(pa.float64(), safe=False)), np.zeros(len(column), bool)
    return pa.nulls(len(column), pa.float64()), as_mask(column.is_valid())


def _to_integer(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    column = decoded(column)
    if pt.is_integer(column.type) and not pt.is_uint64(column.type):
        return one_array(column.cast(pa.int64())), np.zeros(len(column), bool)
    numbers, bad = _to_number(column)
    whole = are_whole(numbers)
    good = pc.if_else(whole, numbers, pa.scalar(None, numbers.type))
    return good.cast(pa.int64()), bad | _failed(whole)


def _to_flag(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    column = decoded(column)
    if pt.is_boolean(column.type):
        return one_array(column), np.zeros(len(column), bool)
    text, _ = _to_text(column)
    lower = pc.utf8_lower(pc.utf8_trim_whitespace(without_absent(text)))
    true, false = (pc.is_in(lower, value_set=pa.array(words, lower.type)) for words in (["true", "1"], ["false", "0"]))
    known = pc.or_(pc.or_(true, false), pc.is_null(lower))
    return pc.if_else(pc.is_null(lower), pa.scalar(None, pa.bool_()), true), _failed(known)


_CONVERTERS: dict[str, Callable[[pa.ChunkedArray], tuple[pa.Array, Mask]]] = {
    "text": _to_text, "number": _to_number, "integer": _to_integer, "flag": _to_flag,
}  # fmt: skip
_RULES = {
    "time": "is a time", "id": "is an identifier", "number": "is a number", "integer": "is a whole number",
    "flag": "is true or false",
}  # fmt: skip


def _failed(holds: pa.ChunkedArray | pa.Array) -> Mask:
    return as_mask(pc.invert(pc.fill_null(holds, True)))
