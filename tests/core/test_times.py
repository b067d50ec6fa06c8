"""Times in whole seconds."""

import numpy as np
import pandas as pd
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.times import NEVER, seconds

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
