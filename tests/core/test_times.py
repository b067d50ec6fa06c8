"""Times in whole seconds."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.times import NEVER, seconds, utc_text

MICROSECONDS = st.integers(-(10**16), 10**16)


@given(st.lists(st.none() | MICROSECONDS, max_size=5))
def test_datetimes_are_rounded_down_and_absent_ones_are_never(given_times):
    stamps = np.array([np.datetime64("NaT") if t is None else np.datetime64(t, "us") for t in given_times], "M8[us]")
    found = seconds(stamps)
    assert found.dtype == np.int64
    assert found.tolist() == [NEVER if t is None else t // 1_000_000 for t in given_times]


def test_columns_of_pandas_are_read_too():
    column = pd.Series(pd.to_datetime(["2024-01-01 00:00:01.9", None], utc=True)).dt.tz_convert(None)
    assert seconds(column).tolist() == [1_704_067_201, NEVER]


@given(st.integers(-(10**9), 10**10))
def test_a_time_as_text_is_read_as_the_same_second_of_utc(second):
    text = utc_text(second)
    assert datetime.fromisoformat(text) == datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
    assert text.replace("Z", "") == str(np.datetime64(second, "s")), "one width and one order, so that texts sort"


@pytest.fixture
def clock_nine_hours_ahead(monkeypatch):
    """The time zone of the process, for the time of a test."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "XST-9")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.usefixtures("clock_nine_hours_ahead")
def test_a_time_as_text_is_utc_wherever_the_machine_stands():
    assert time.localtime(0).tm_hour == 9
    assert utc_text(0) == "1970-01-01T00:00:00Z"
