"""The highest of many scores: against a stable sort."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from unified_ranker.serving.retrieval.highest import highest

SCORES = npst.arrays(
    np.float32,
    st.integers(1, 40),
    elements=st.one_of(
        st.sampled_from([-np.inf, -2.5, -0.0, 0.0, 1.0, 7.0]),
        st.floats(width=32, allow_nan=False, allow_infinity=False),
    ),
)


@given(SCORES, st.integers(0, 50))
def test_it_is_the_head_of_a_stable_sort(scores, count):
    expected = np.argsort(-scores, kind="stable")[:count]
    np.testing.assert_array_equal(highest(scores, count), expected)


@pytest.mark.parametrize("items", [3, 70_000])
def test_positions_are_whole_numbers_of_any_size(items):
    scores = np.zeros(items, np.float32)
    scores[-1] = 1.0
    assert highest(scores, 2).tolist() == [items - 1, 0]
    assert highest(np.zeros(0, np.float32), 5).tolist() == []
