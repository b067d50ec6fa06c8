"""Times as features."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.times import DAY
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.time import GAP_BUCKETS, clock_channels, gap_bucket

SECONDS = st.integers(-(2**40), 2**40)


@given(st.lists(SECONDS, min_size=1, max_size=20))
def test_a_longer_gap_is_never_in_an_earlier_bucket(gaps):
    buckets = gap_bucket(tf.constant(sorted(gaps), tf.int64)).numpy()
    assert (np.diff(buckets) >= 0).all()
    assert buckets.min() >= 0
    assert buckets.max() < GAP_BUCKETS


@given(SECONDS)
def test_bucket_k_begins_at_a_power_of_two(gap):
    expected = min(int(max(gap, 0) + 1).bit_length() - 1, GAP_BUCKETS - 1)
    assert int(gap_bucket(tf.constant(gap, tf.int64))) == expected


@pytest.mark.parametrize("width", [1, 3, 8, 17])
def test_a_gap_has_one_bucket_wherever_it_stands(width):
    for k in range(1, GAP_BUCKETS):
        for gap, bucket in ((2**k - 1, k), (2**k - 2, k - 1)):
            found = gap_bucket(tf.fill([2, width], tf.constant(gap, tf.int64))).numpy()
            assert (found == bucket).all(), (gap, found)


def test_no_gaps_no_buckets():
    assert gap_bucket(tf.zeros([3, 0], tf.int64)).shape == (3, 0)


@given(st.integers(-(10**9), 4 * 10**9))
def test_the_clock_is_on_two_circles(moment):
    now, tomorrow, next_week, soon = clock_channels(
        tf.constant([moment, moment + DAY, moment + 7 * DAY, moment + 60], tf.int64)
    ).numpy()
    for channels in (now, tomorrow, next_week):
        sin, cos = channels[:2], channels[2:]
        np.testing.assert_allclose(sin**2 + cos**2, 1, atol=1e-5)
    np.testing.assert_allclose(now, next_week, atol=1e-5)
    np.testing.assert_allclose(now[[0, 2]], tomorrow[[0, 2]], atol=1e-5)
    assert np.abs(now - tomorrow).max() > 0.1
    assert np.abs(now - soon).max() < 0.01


def test_midnight_and_noon_are_opposite():
    midnight, noon = clock_channels(tf.constant([20 * DAY, 20 * DAY + DAY // 2], tf.int64)).numpy()
    np.testing.assert_allclose(midnight[[0, 2]], -noon[[0, 2]], atol=1e-5)
