"""Reading of times: the unit or the formats of a column, recognised from all of its values."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.arrays import Mask
from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.column_types import decoded, is_number, is_text
from unified_ranker.reading.time_shapes import day_and_month, formats_of, is_day_first, is_month_first, shapes_of

UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
"""Units of a number since 1970 by how many of them a second has; besides these there are `days`."""
DAY_SECONDS = 86_400
EXCEL_EPOCH = 25_569
"""Days from the first day of spreadsheets, the last but one of 1899, to 1970."""
UNIT_WORDS = {
    "s": "seconds since 1970", "ms": "milliseconds since 1970", "us": "microseconds since 1970",
    "ns": "nanoseconds since 1970", "days": "days since 1970", "excel": "days since 1900",
}  # fmt: skip
_FIRST, _EARLIEST_SECONDS, _LAST = 631_152_000, 100_000_000, 4_102_444_800
"""Times that a log is taken to have, in seconds since 1970: the years 1990 to 2099; numbers of seconds from 1973 on."""
COMPACT = {"%Y%m%d": (19900101, 20991231), "%Y%m%d%H%M": (199001010000, 209912312359),
           "%Y%m%d%H%M%S": (19900101000000, 20991231235959)}  # fmt: skip
"""Dates that are written as one number, and the least and greatest of them."""
_NUMBER = r"^[+-]?\d+(\.\d*)?([eE]\+?\d{1,2})?$"
CLEAR_MAJORITY = 20
"""Times as many rows that fit one order of day and month as fit the other alone, from which the others are faults."""


@dataclass(frozen=True)
class TimeReading:
    """Reading of a column of times.

    Attributes:
        unit: of numbers since 1970; None for text.
        formats: of text, most frequent first: strptime's, or `ISO8601`.
        recognised: whether the reading was found in the values, and not declared.
        example: a value.
    """

    unit: str | None = None
    formats: tuple[str, ...] = ()
    recognised: bool = True
    example: str = ""

    def __str__(self) -> str:
        """Return the reading in words."""
        like = f", such as `{self.example}`" if self.example else ""
        if self.unit is not None:
            return f"{UNIT_WORDS[self.unit]}{like}"
        if not self.formats:
            return "times"
        order = ", day before month" if any(map(is_day_first, self.formats)) else ""
        order = ", month before day" if any(map(is_month_first, self.formats)) else order
        return f"text{like}{order}"

    @property
    def option(self) -> str:
        """The declaration of this reading in YAML, without the column: `unit: ms`."""
        return f"unit: {self.unit}" if self.unit is not None else f'format: "{self.formats[0]}"'


@dataclass(frozen=True)
class Ambiguity:
    """Column whose times can be read in two ways.

    Attributes:
        readings: both.
        example: a value that differs between them.
    """

    readings: tuple[TimeReading, TimeReading]
    example: str


@dataclass
class TimeSummary:
    """Summary of a column of times, which parts of the column are added to one after the other.

    Attributes:
        present: number of values.
        typed: number of values in columns of times.
        numbers: number of values that are numbers.
        fits: number of values that each unit and each compact format fits.
        shapes: number of texts by their shape.
        orders: number of dates that only fit with the day first, only with the month first, or both.
        examples: a value for each shape, order, unit and compact format.
    """

    present: int = 0
    typed: int = 0
    numbers: int = 0
    fits: Counter[str] = field(default_factory=Counter)
    shapes: Counter[str] = field(default_factory=Counter)
    orders: Counter[str] = field(default_factory=Counter)
    examples: dict[str, str] = field(default_factory=dict)

    def add(self, column: pa.ChunkedArray) -> None:
        """Add a part of the column."""
        column = decoded(column)
        if is_text(column.type):
            column = without_absent(column.cast(pa.large_string())).drop_null().combine_chunks()
            column = column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column
            self.present += len(column)
            self._add_text(pc.utf8_trim_whitespace(column))
        elif is_number(column.type):
            column = column.drop_null()
            self.present += len(column)
            self._add_numbers(column.cast(pa.float64(), safe=False).to_numpy(), column)
        else:
            self.present += len(column) - column.null_count
            self.typed += (
                0 if not (pt.is_timestamp(column.type) or pt.is_date(column.type)) else len(column.drop_null())
            )

    def _add_text(self, text: pa.LargeStringArray) -> None:
        numeric = pc.match_substring_regex(text, _NUMBER) if len(text) and _first_is_digit(text) else None
        if numeric is not None and pc.any(numeric).as_py():
            numbers = text.filter(numeric)
            self._add_numbers(numbers.cast(pa.float64()).to_numpy(zero_copy_only=False), numbers)
            text = text.filter(pc.invert(numeric))
        shapes = shapes_of(text)
        for found in shapes.value_counts().to_pylist():
            shape = found["values"]
            self.shapes[shape] += found["counts"]
            if shape not in self.examples:
                self.examples[shape] = text[pc.index(shapes, shape).as_py()].as_py()
            if len(formats_of(shape)) == 2:
                self._add_orders(text.filter(pc.equal(shapes, shape)))

    def _add_orders(self, text: pa.LargeStringArray) -> None:
        # A log has few days, so that Python can look at each.
        for found in pc.utf8_slice_codeunits(text, 0, 10).value_counts().to_pylist():
            numbers = day_and_month(found["values"])
            if numbers is None or min(numbers) > 12 or max(numbers) > 31:
                continue
            first, second = numbers
            order = "day" if first > 12 else "month" if second > 12 else "both"
            self.orders[order] += found["counts"]
            if order not in self.examples or (order == "both" and first != second):
                self.examples[order] = text[pc.index(pc.starts_with(text, found["values"]), True).as_py()].as_py()

    def _add_numbers(self, values: np.ndarray, shown: Any) -> None:
        self.numbers += len(values)
        for name, (low, high) in likely_windows().items():
            inside = (values >= low) & (values <= high)
            if name in COMPACT:
                inside &= compact_dates(values, name)
            count = int(inside.sum())
            if count:
                self.fits[name] += count
                self.examples.setdefault(name, str(shown[int(np.flatnonzero(inside)[0])].as_py()))


def _first_is_digit(text: pa.LargeStringArray) -> bool:
    """Tell whether one of a few values is a number, so that most text is not looked at for numbers."""
    at = np.unique(np.linspace(0, len(text) - 1, 64).astype(np.int64))
    return bool(pc.any(pc.match_substring_regex(text.take(pa.array(at)), _NUMBER)).as_py())


def likely_windows() -> dict[str, tuple[float, float]]:
    """Return the least and the greatest number of a log's times in each unit and compact format; none overlap."""
    units: dict[str, tuple[float, float]] = {
        unit: ((_EARLIEST_SECONDS if unit == "s" else _FIRST) * of_second, _LAST * of_second)
        for unit, of_second in UNITS.items()
    }
    return units | {"days": (_FIRST / DAY_SECONDS, _LAST / DAY_SECONDS)} | COMPACT


def compact_dates(values: np.ndarray, form: str) -> Mask:
    """Mark numbers whose digits are a date of a compact format, `[rows]`."""
    days = np.floor(values / 10 ** (len(str(COMPACT[form][0])) - 8))
    month, day = np.floor(days / 100) % 100, days % 100
    whole = np.floor(values) == values
    return np.asarray(whole & (month >= 1) & (month <= 12) & (day >= 1) & (day <= 31), bool)


def recognise(summary: TimeSummary) -> TimeReading | Ambiguity | None:
    """Return the reading of a column, both where two are possible, or None where it holds no times.

    Rows that the reading does not fit are faults of their own: most of the rows decide.
    """
    if not summary.present or summary.typed:
        return TimeReading() if summary.typed or not summary.present else None
    known = Counter({shape: n for shape, n in summary.shapes.items() if formats_of(shape)})
    if known.total() >= summary.numbers:
        return _of_text(summary, known) if known.total() * 2 >= summary.present else None
    name, count = max(summary.fits.items(), key=lambda one: one[1], default=("", 0))
    if count * 2 < summary.present:
        return None
    if name in COMPACT:
        return TimeReading(formats=(name,), example=summary.examples[name])
    return TimeReading(unit=name, example=summary.examples[name])


def _of_text(summary: TimeSummary, known: Counter[str]) -> TimeReading | Ambiguity | None:
    if not known:
        return None
    day_first = _formats(known, 0)
    month_first = _formats(known, -1)
    example = summary.examples[known.most_common(1)[0][0]]
    if day_first == month_first:
        return TimeReading(formats=day_first, example=example)
    only_day, only_month = summary.orders["day"], summary.orders["month"]
    # With full stops the day is first wherever they are in use.
    dotted = all("%d.%m" in form for form in day_first if is_day_first(form))
    if only_day > CLEAR_MAJORITY * only_month or (dotted and not only_month):
        return TimeReading(formats=day_first, example=summary.examples.get("day", example))
    if only_month > CLEAR_MAJORITY * only_day:
        return TimeReading(formats=month_first, example=summary.examples["month"])
    shown = summary.examples.get("both") or example
    readings = TimeReading(formats=day_first, example=shown), TimeReading(formats=month_first, example=shown)
    return Ambiguity(readings, shown)


def _formats(known: Counter[str], choice: int) -> tuple[str, ...]:
    """Return the formats of shapes, most frequent first; `choice` is which of two that a shape may have."""
    counts: Counter[str] = Counter()
    for shape, count in known.items():
        counts[formats_of(shape)[choice]] += count
    return tuple(form for form, _ in counts.most_common())


def recognise_times(column: pa.ChunkedArray | pa.Array) -> TimeReading | Ambiguity | None:
    """Return the reading of a column of any type; None where it holds no times."""
    summary = TimeSummary()
    summary.add(pa.chunked_array([column]) if isinstance(column, pa.Array) else column)
    return recognise(summary) if summary.present else None
