"""Freshness and its two factors against plain Python."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.freshness import freshness, query_factor, stored_factor
from unified_ranker.core.times import DAY, NEVER

NOW = 1_700_000_000
CREATED = st.one_of(st.just(NEVER), st.integers(-NOW, 2 * NOW))
TIMES = st.integers(1, 2 * NOW)
SCALES = st.floats(0.01, 1000).map(lambda days: days * DAY)


def by_hand(created, time, scale):
    return 0.0 if created == NEVER else math.exp(-min(max(time - created, 0) / scale, 60))


@given(st.lists(CREATED, min_size=1, max_size=4), st.lists(TIMES, min_size=1, max_size=3), SCALES)
def test_every_pair_of_item_and_moment_has_its_own(created, times, scale):
    found = np.asarray(freshness(np.array(created)[None], np.array(times)[:, None], scale))
    expected = np.array([[by_hand(c, t, scale) for c in created] for t in times])
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_it_is_a_share_that_falls_from_creation_on():
    """What will be created is no fresher than what is new."""
    created = np.array([0, 0, NEVER, 2 * DAY, 10_000 * DAY])
    found = freshness(created, np.array([0, 2 * DAY, 5, 0, 0]), 2 * DAY)
    np.testing.assert_allclose(found, [1, math.exp(-1), 0, 1, 1], rtol=1e-12)
    oldest = np.float32(freshness(np.array([0]), np.array([10_000 * DAY]), DAY))[0]
    assert 0 < oldest < 1e-20


@given(CREATED, st.integers(0, 50), st.integers(-20, 50), st.floats(0.5, 30).map(lambda days: days * DAY))
def test_the_two_factors_give_the_freshness_at_any_moment(created, old, later, scale):
    """For items up to 20 scales younger than the origin; see docs/decisions/0003-freshness.md."""
    created = NEVER if created == NEVER else NOW - int(old * scale)
    time = max(NOW + int(later * scale), created if created != NEVER else 0)
    stored = stored_factor(np.array([created]), NOW, scale)
    together = np.asarray(stored * query_factor(np.array([time]), NOW, scale))
    expected = 0.0 if created == NEVER else math.exp(-(time - created) / scale)
    np.testing.assert_allclose(together, [expected], rtol=1e-4, atol=1e-30)


def test_what_is_stored_stays_small_and_what_is_asked_stays_finite():
    far = np.array([NOW + 10_000 * DAY])
    assert np.asarray(stored_factor(far, NOW, DAY))[0] == pytest.approx(math.exp(20), rel=1e-5)
    long_ago = np.array([1])
    assert np.float32(query_factor(long_ago, NOW, DAY))[0] == pytest.approx(math.exp(60), rel=1e-5)
    assert np.float32(query_factor(far, NOW, DAY))[0] == pytest.approx(math.exp(-60), rel=1e-5)
