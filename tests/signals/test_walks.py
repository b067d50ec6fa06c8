"""Walks of one and two steps: against dense matrices, and as of the example's moment."""

import dataclasses

import numpy as np
import pytest
from signal_toy import signal_request

from unified_ranker.signals.pair_counts import PairsAsOf
from unified_ranker.signals.source_walks import WALK_SCALE, WalkSignal
from unified_ranker.signals.walks import WalksAsOf
from unified_ranker.towers.tensorflow import tf

ITEMS, END = 12, 100
RNG = np.random.default_rng(5)
# Time rises along the log, and nothing leads to or from item 11 before the end.
LOG = RNG.integers(0, ITEMS - 1, 90), RNG.integers(0, ITEMS - 1, 90), np.sort(RNG.integers(0, END, 90))
SOURCES = np.array([2, -1, 7, 11])
REQUESTS = signal_request(4, source_item=SOURCES)
CANDIDATES = np.append(np.tile(np.arange(ITEMS), (4, 1)), np.full((4, 1), -1), 1)


def signal(neighbours=ITEMS, proposed=4, log=LOG):
    return WalkSignal(PairsAsOf(*log, ITEMS), END, neighbours, proposed)


def walked(time):
    """Share of walks between all items, dense: a pair the other way counts a quarter, two steps count twice."""
    counts = np.zeros((ITEMS, ITEMS))
    for first, second, when in zip(*LOG, strict=True):
        if first != second and when < time:
            counts[first, second] += 1
    counts = counts + counts.T / 4
    step = counts / np.maximum(counts.sum(1, keepdims=True), 1e-9)
    found = step + 2 * step @ step
    np.fill_diagonal(found, 0)
    return found


def expected(time):
    found = np.zeros((4, ITEMS + 1))
    for row, origin in enumerate(SOURCES):
        if origin >= 0:
            found[row, :-1] = walked(time)[origin]
    return np.stack([np.log1p(WALK_SCALE * found), found], -1)


def test_the_table_holds_the_walks_at_the_end_of_the_fit():
    served = signal().features(REQUESTS, tf.constant(CANDIDATES), None).numpy()
    assert served[..., 1].max() > 0.3
    np.testing.assert_allclose(served, expected(END), atol=1e-4)
    assert (served[[1, 3]] == 0).all(), "no source, and one that leads nowhere"


def test_a_walk_reaches_what_no_pair_does():
    log = np.array([0, 1]), np.array([1, 2]), np.array([5, 6])
    from_first = dataclasses.replace(REQUESTS, source_item=tf.zeros([4], tf.int64))
    found = signal(log=log).features(from_first, tf.constant(CANDIDATES), None).numpy()[0, :, 1]
    # From 0 all goes to 1; from there four of five parts on to 2, and one back to where it began.
    np.testing.assert_allclose(found[:4], [0, 1, 2 * 0.8, 0], atol=1e-6)


def test_training_sees_the_walks_of_the_moment_before():
    found = WalksAsOf(PairsAsOf(*LOG, ITEMS), END)
    assert len(found.moments) > 20
    for time in (10, 50, 77, END, END + 50):
        at = found.moments[found.moments <= time].max()
        counted = found.count(SOURCES, CANDIDATES, np.full(4, time))
        np.testing.assert_allclose(counted, expected(at)[..., 1], atol=1e-5)
    assert (found.count(SOURCES, CANDIDATES, np.full(4, -1)) == 0).all(), "before everything"


def test_no_example_sees_itself_or_what_follows():
    for most in (2, 5, 64):
        for time in (20, 60, 90):
            assert (LOG[2] >= time).any()
            one = WalksAsOf(PairsAsOf(*LOG, ITEMS), END, most)
            assert len(one.moments) <= most
            # All that comes later leads to item 11 instead: nothing of that may be seen.
            late = LOG[0], np.where(LOG[2] >= time, 11, LOG[1]), LOG[2]
            other = WalksAsOf(PairsAsOf(*late, ITEMS), END, most)
            asked = SOURCES, CANDIDATES, np.full(4, time)
            np.testing.assert_array_equal(one.count(*asked), other.count(*asked))


def test_serving_and_training_agree_at_the_end():
    whole = signal()
    served = whole.features(REQUESTS, tf.constant(CANDIDATES), None).numpy()
    trained = whole.features(REQUESTS, tf.constant(CANDIDATES), tf.fill([4], np.int64(END))).numpy()
    np.testing.assert_allclose(served, trained, atol=1e-4)


def test_a_bounded_table_keeps_the_likeliest():
    best = np.argsort(-walked(END)[2])[:3]
    served = signal(neighbours=3).features(REQUESTS, tf.constant(CANDIDATES), None).numpy()[0, :, 1]
    assert set(np.flatnonzero(served)) == set(best)
    proposed = signal(neighbours=3, proposed=2).proposals(REQUESTS).numpy()
    np.testing.assert_allclose(walked(END)[2][proposed[0]], walked(END)[2][best[:2]])
    assert (proposed[[1, 3]] == -1).all()


def test_a_log_without_pairs_has_no_walks():
    empty = np.zeros(0, np.int64)
    nothing = signal(log=(empty, empty, empty))
    for time in (None, tf.fill([4], np.int64(END))):
        assert (nothing.features(REQUESTS, tf.constant(CANDIDATES), time).numpy() == 0).all()
    assert (nothing.proposals(REQUESTS).numpy() == -1).all()


@pytest.mark.parametrize("bound", [1, 300])
def test_tables_for_training_are_bounded(bound):
    found = WalksAsOf(PairsAsOf(*LOG, ITEMS), END, tabulated=bound)
    assert sum(step.nnz for step in found.steps) <= max(bound, ITEMS**2)
    assert found.moments[-1] == END
