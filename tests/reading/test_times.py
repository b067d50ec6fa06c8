"""Times: what is recognised from whole columns agrees with a plain reading in Python, and doubt is shown."""

from datetime import UTC, datetime, timedelta, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.reading.time_reading import Ambiguity, TimeReading, TimeSummary, recognise, recognise_times
from unified_ranker.reading.time_values import read_times

MOMENTS = st.datetimes(datetime(1990, 1, 2), datetime(2098, 1, 1)).map(lambda t: t.replace(tzinfo=UTC))
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS = {"s": timedelta(seconds=1), "ms": timedelta(milliseconds=1), "us": timedelta(microseconds=1)}


def read(values, reading=None):
    column = pa.chunked_array([pa.array(values)])
    found = recognise_times(column) if reading is None else reading
    assert isinstance(found, TimeReading), found
    times, bad = read_times(column, found)
    return times.to_pylist(), bad.tolist()


def numbers(moments, unit):
    return [(moment - EPOCH) // UNITS[unit] for moment in moments]


@pytest.mark.parametrize("unit", UNITS)
@settings(max_examples=20)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=20))
def test_numbers_since_1970_are_read_in_their_unit(unit, moments):
    expected = [EPOCH + n * UNITS[unit] for n in numbers(moments, unit)]
    given_numbers = numbers(moments, unit)
    assert read(given_numbers) == (expected, [False] * len(moments))
    assert read([str(n) for n in given_numbers]) == (expected, [False] * len(moments))
    assert str(recognise_times(pa.array(given_numbers))).startswith(
        {"s": "seconds", "ms": "milliseconds", "us": "microseconds"}[unit]
    )


@settings(max_examples=20)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=20))
def test_nanoseconds_lose_what_is_below_a_microsecond(moments):
    nanoseconds = [n * 1000 + 999 for n in numbers(moments, "us")]
    expected = [EPOCH + n * UNITS["us"] for n in numbers(moments, "us")]
    assert read(nanoseconds)[0] == expected
    assert read([str(n) for n in nanoseconds])[0] == expected


@settings(max_examples=20)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=20))
def test_seconds_with_a_fraction_are_exact_to_the_microsecond(moments):
    text = [f"{n // 10**6}.{n % 10**6:06}" for n in numbers(moments, "us")]
    assert read(text)[0] == moments


@settings(max_examples=20)
@given(days=st.lists(st.dates(datetime(1991, 1, 1).date(), datetime(2098, 1, 1).date()), min_size=1, max_size=20))
def test_days_and_dates_written_as_one_number(days):
    expected = [datetime(d.year, d.month, d.day, tzinfo=UTC) for d in days]
    assert read([(d - EPOCH.date()).days for d in days])[0] == expected
    assert read([int(f"{d:%Y%m%d}") for d in days])[0] == expected
    assert read([f"{d:%Y%m%d}" for d in days])[0] == expected


FORMATS = (
    "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S.%f",
    "%Y/%m/%d %H:%M:%S", "%Y.%m.%d %H:%M", "%d.%m.%Y %H:%M", "%d %b %Y %H:%M:%S", "%d-%b-%Y", "%B %d, %Y",
    "%a %b %d %H:%M:%S +0000 %Y", "%a %b %d %H:%M:%S %Y", "%a, %d %b %Y %H:%M:%S GMT", "%d/%b/%Y:%H:%M:%S +0000",
    "%Y%m%d%H%M%S", "%Y-%m-%d",
)  # fmt: skip


@pytest.mark.parametrize("form", FORMATS)
@settings(max_examples=20)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=20))
def test_text_is_read_as_python_reads_it(form, moments):
    texts = [f"{moment:{form}}" for moment in moments]
    plain = [datetime.strptime(text, form).replace(tzinfo=UTC) for text in texts]
    assert read(texts) == (plain, [False] * len(texts))


@pytest.mark.parametrize("clock", ["", " %H:%M:%S", " %I:%M:%S %p", " %H:%M"])
@pytest.mark.parametrize("date", ["%d/%m/%Y", "%m/%d/%Y", "%d-%m-%Y", "%m-%d-%y", "%d/%m/%y"])
@settings(max_examples=20)
@given(moments=st.lists(MOMENTS, min_size=1, max_size=20), late=st.integers(13, 28))
def test_the_order_of_day_and_month_is_that_of_the_rows_that_tell(date, clock, moments, late):
    moments = [
        moment.replace(year=2000 + moment.year % 60) for moment in moments if (moment.month, moment.day) != (2, 29)
    ]
    moments.append(datetime(2020, 3, late, 9, 5, tzinfo=UTC))
    form = date + clock
    texts = [f"{moment:{form}}" for moment in moments]
    plain = [datetime.strptime(text, form).replace(tzinfo=UTC) for text in texts]
    assert read(texts) == (plain, [False] * len(texts))


def test_two_possible_readings_are_both_shown():
    found = recognise_times(pa.array(["05/06/2020 10:00", "06/05/2020 11:30"]))
    assert isinstance(found, Ambiguity)
    assert [reading.option for reading in found.readings] == ['format: "%d/%m/%Y %H:%M"', 'format: "%m/%d/%Y %H:%M"']
    assert found.example in ("05/06/2020 10:00", "06/05/2020 11:30")


def test_a_few_rows_that_fit_the_other_order_are_faults_of_theirs():
    texts = [f"{day:02}/01/2020" for day in range(1, 29)] * 3 + ["01/25/2020"]
    times, bad = read(texts)
    assert bad == [False] * 84 + [True]
    assert times[20] == datetime(2020, 1, 21, tzinfo=UTC)
    mixed = [f"{day:02}/01/2020" for day in range(13, 29)] + [f"01/{day:02}/2020" for day in range(13, 29)]
    assert isinstance(recognise_times(pa.array(mixed)), Ambiguity)


def test_zones_are_brought_to_utc_and_absent_stays_absent():
    times, bad = read(["2020-01-01T02:00:00+02:00", None, "", "NULL", "2020-01-01 00:00:00"])
    assert times == [datetime(2020, 1, 1, tzinfo=UTC), None, None, None, datetime(2020, 1, 1, tzinfo=UTC)]
    assert not any(bad)
    late = datetime(2017, 9, 8, 10, 44, 24, tzinfo=timezone(timedelta(hours=-7)))
    assert read(["Fri Sep 08 10:44:24 -0700 2017"])[0] == [late.astimezone(UTC)]


def test_rows_that_are_no_times_are_marked_and_the_others_read():
    times, bad = read(["2020-01-01", "soon", "2020-02-30", "2020-01-03"])
    assert bad == [False, True, True, False]
    assert times[3] == datetime(2020, 1, 3, tzinfo=UTC)
    assert read([1_600_000_000, 1_600_000_000_000, 1_600_000_001])[1] == [False, True, False]
    assert read([1_600_000_000_000, 1_600_000_000, 1_600_000_000_001])[1] == [False, True, False]
    assert read(["1600000000", "x", "1600000001"])[1] == [False, True, False]


def test_types_of_times_are_taken_as_they_are():
    day = pa.array([18_262, None], pa.date32())
    assert read_times(pa.chunked_array([day]), TimeReading())[0].to_pylist() == [datetime(2020, 1, 1, tzinfo=UTC), None]
    far = pa.array([10**17, 0], pa.timestamp("s"))
    times, bad = read_times(pa.chunked_array([far]), TimeReading())
    assert (times.to_pylist(), bad.tolist()) == ([None, EPOCH], [True, False])


@pytest.mark.parametrize("values", [["hello", "x y"], [5, 6, 7], [0.25, 0.5], ["a"] * 5 + ["2020-01-01"]])
def test_what_is_no_time_is_not_taken_for_one(values):
    assert recognise_times(pa.array(values)) is None


def test_parts_add_up_to_the_whole():
    rng = np.random.default_rng(3)
    texts = [f"{d:02}/{m:02}/2021" for d, m in zip(rng.integers(1, 13, 500), rng.integers(1, 13, 500), strict=True)]
    texts.append("30/01/2021")
    summary = TimeSummary()
    for at in range(0, 501, 50):
        summary.add(pa.chunked_array([pa.array(texts[at : at + 50])]))
    assert recognise(summary) == recognise_times(pa.array(texts))
    assert recognise(summary).formats == ("%d/%m/%Y",)


def test_words_for_the_present_are_no_times():
    reading = TimeReading(formats=("%Y-%m-%d",))
    assert read(["2024-05-01", "now", "Today", "NOW"], reading)[1] == [False, True, True, True]


@pytest.mark.parametrize("reading", [None, TimeReading(unit="s", recognised=False)], ids=["recognised", "declared"])
def test_numbers_with_an_exponent_are_times(reading):
    seconds = [1_600_000_000 + 1000 * n for n in range(50)]
    times, bad = read([f"{s:.6e}" for s in seconds], reading)
    assert not any(bad)
    assert times == [EPOCH + timedelta(seconds=s) for s in seconds]
