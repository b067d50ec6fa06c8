"""Times in two columns: whatever form the date and the time of day have, they are the moment that both say."""

from datetime import datetime

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reading_toy import read_log

from unified_ranker.project.log_files import loaded
from unified_ranker.reading.joined_times import joined_times
from unified_ranker.reading.time_reading import TimeReading, recognise_times
from unified_ranker.reading.time_values import read_times

DATES = {
    "ISO": lambda t: t.strftime("%Y-%m-%d"),
    "number": lambda t: int(t.strftime("%Y%m%d")),
    "type": lambda t: t.date(),
    "midnight": lambda t: t.strftime("%Y-%m-%d 00:00:00"),
    "dots": lambda t: t.strftime("%d.%m.%Y"),
    "month in words": lambda t: t.strftime("%d %b %Y"),
}
CLOCKS = {
    "seconds": (lambda t: t.strftime("%H:%M:%S"), "s"),
    "minutes": (lambda t: f"{t.hour}:{t.minute:02d}", "min"),
    "half days": (lambda t: t.strftime("%I:%M:%S %p"), "s"),
    "type": (lambda t: t.time(), "s"),
    "digits": (lambda t: t.strftime("%H%M%S"), "s"),
    "hours": (lambda t: t.hour, "h"),
    "hours as fractions": (lambda t: float(t.hour), "h"),
}
MOMENTS = st.datetimes(datetime(2001, 1, 1), datetime(2030, 1, 1)).map(lambda t: t.replace(microsecond=0))


@pytest.mark.parametrize("date", DATES)
@pytest.mark.parametrize("clock", CLOCKS)
@settings(max_examples=4, deadline=None)
@given(times=st.lists(MOMENTS, min_size=1, max_size=6))
def test_a_date_and_a_time_of_day_are_one_moment(date, clock, times):
    of_day, step = CLOCKS[clock]
    columns = [pa.chunked_array([pa.array([write(t) for t in times])]) for write in (DATES[date], of_day)]
    text = joined_times(columns)
    reading = recognise_times(text)
    assert isinstance(reading, TimeReading), text
    found, bad = read_times(text, reading)
    assert not bad.any()
    assert found.to_pylist() == [pd.Timestamp(t, tz="UTC").floor(step) for t in times]


def test_a_time_of_day_without_a_date_is_no_time_and_a_date_alone_is_its_midnight(tmp_path):
    (tmp_path / "e.csv").write_text(
        "user_id,item_id,task,event_type,day,hour\nu,i,t,view,2024-05-01,9\nu,i,t,view,,10\nu,i,t,view,2024-05-02,\n"
    )
    data = {"events": "e.csv", "columns": {"events": {"timestamp": {"columns": ["day", "hour"]}}}}
    times = loaded(read_log(tmp_path, data)).events["timestamp"].to_pylist()
    assert [t and t.strftime("%d %H:%M") for t in times] == ["01 09:00", None, "02 00:00"]


def test_an_impossible_hour_is_a_bad_row(tmp_path):
    rows = "".join(f"u,i,t,view,2024-05-01,{hour}\n" for hour in (9, 31, 10))
    (tmp_path / "e.csv").write_text("user_id,item_id,task,event_type,day,hour\n" + rows)
    data = {"events": "e.csv", "columns": {"events": {"timestamp": {"columns": ["day", "hour"]}}}}
    read = read_log(tmp_path, data)
    assert read.read.tables["events"].reasons == {"events.timestamp is a time": 1}


@pytest.mark.parametrize("number", ["43831.5", 43831.5])
def test_days_of_spreadsheets_count_from_1900(number):
    column = pa.chunked_array([pa.array([number])])
    found, bad = read_times(column, TimeReading(unit="excel", recognised=False))
    assert (found.to_pylist()[0].isoformat(), bad.any()) == ("2020-01-01T12:00:00+00:00", False)
