"""Times in whole seconds."""

import time
from datetime import UTC, datetime, timedelta

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.times import NEVER, seconds, usual_span, utc_text

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


WHOLE = st.lists(st.integers(10**9, 10**9 + 10**7), min_size=20, max_size=300)


@given(WHOLE, st.sampled_from([0, 4_860_000_000, 32_503_680_000, 253_402_300_799]))
def test_one_outlier_moves_no_span(given_times, outlier):
    times = np.array([*given_times, min(given_times) - 1, max(given_times) + 1], np.int64)
    assert usual_span(np.append(times, outlier)) == usual_span(times)
    assert usual_span(np.append(times, [outlier, 1])) == usual_span(times)


@given(st.integers(20, 400), st.floats(0.3, 3.0))
def test_the_span_of_a_log_that_grows_or_fades_is_that_of_its_events(count, growth):
    times = (10**9 + 10**7 * np.linspace(0, 1, count) ** growth).astype(np.int64)
    assert usual_span(np.random.default_rng(count).permutation(times)) == (times[0], times[-1])


@pytest.mark.parametrize("few", [[], [5], [5, 9], [5, 5, 5], [0, 1, 10**10]])
def test_of_a_few_times_none_is_an_outlier(few):
    assert usual_span(np.array(few, np.int64)) == ((min(few), max(few)) if few else (0, 0))


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
