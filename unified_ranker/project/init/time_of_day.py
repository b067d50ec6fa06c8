"""Times of day beside dates, and days as spreadsheets count them: how a column of days becomes one of times."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.config import ColumnSource
from unified_ranker.core.times import DAY
from unified_ranker.log.column_names import words_of_name
from unified_ranker.log.column_types import one_array
from unified_ranker.project.init.raw_columns import RawColumn
from unified_ranker.reading.joined_times import joined_times
from unified_ranker.reading.time_reading import EXCEL_EPOCH, Ambiguity, TimeReading, recognise_times

_HOURS = frozenset({"hour", "hours", "hr", "hh", "stunde", "hora", "heure", "ora", "uur", "time", "godzina", "saat"})
_CLOCKS = _HOURS | {"clock", "tod", "timeofday", "uhrzeit", "zeit", "tijd", "tid", "klok", "czas", "daytime"}
_CLOCK = r"^(\d{1,2}:[0-5]\d(:[0-5]\d([.,]\d+)?)?( ?[AaPp][Mm])?|([01]\d|2[0-3])[0-5]\d([0-5]\d)?)$"
_SOME = 10_000
"""Rows by which a date and a time of day are tried together."""


def with_time_of_day(
    date: RawColumn, others: Sequence[RawColumn]
) -> tuple[ColumnSource, TimeReading | Ambiguity | None]:
    """Return the source of a time, and its reading: a column of dates with the one that holds the time of day.

    Args:
        date: the column that holds the times, as far as its name tells.
        others: columns that are free; the first fitting one is taken.
    """
    for clock in others:
        if clock.name != date.name and _is_clock(clock):
            some = min(date.present, clock.present, _SOME)
            # Rows may not fit each other here, where some have no value: only their forms are looked at.
            both = [pa.chunked_array([one_array(c.values).slice(0, some)]) for c in (date, clock)]
            reading = recognise_times(joined_times(both))
            if reading is not None:
                return ColumnSource(columns=(date.name, clock.name)), reading
    return ColumnSource(column=date.name), date.time


def excel_day(values: RawColumn) -> datetime | None:
    """Return the first day of a column of days, counted from 1900 on; None where they lie in the past since 1970."""
    numbers = values.values.cast(pa.float64()) if values.present else None
    if numbers is None or pc.min(numbers).as_py() * DAY <= datetime.now(UTC).timestamp():
        return None
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=pc.min(numbers).as_py() - EXCEL_EPOCH)


def _is_clock(values: RawColumn) -> bool:
    """Tell whether a column holds times of day: by its name, and by texts such as `9:30`, or hours from 0 to 23."""
    words = set(words_of_name(values.name))
    if not values.present or not words & _CLOCKS:
        return False
    if pt.is_time(values.values.type):
        return True
    if values.holds == "whole numbers":
        hours = values.values.cast(pa.float64())
        return bool(words & _HOURS) and pc.min(hours).as_py() >= 0 and pc.max(hours).as_py() <= 23
    return values.holds == "text" and bool(pc.all(pc.match_substring_regex(values.values, _CLOCK)).as_py())
