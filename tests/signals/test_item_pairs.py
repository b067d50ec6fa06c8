"""Signals from pairs of items: the table of serving says what the counts of training say, as of the same moment."""

import numpy as np
import pytest
from signal_toy import signal_request

from unified_ranker.signals.pair_counts import PairsAsOf
from unified_ranker.signals.source_pairs import SourceSignal
from unified_ranker.signals.successions import SuccessionSignal
from unified_ranker.towers.tensorflow import tf

ITEMS, END = 12, 100
RNG = np.random.default_rng(3)
LOG = RNG.integers(0, ITEMS, 200), RNG.integers(0, ITEMS, 200), RNG.integers(0, END, 200)
REQUESTS = signal_request(3, source_item=[2, -1, 7], recent=[[1, 4, 1], [5, -1, -1], [-1, -1, -1]])
CANDIDATES = tf.constant(np.append(np.tile(np.arange(ITEMS), (3, 1)), np.full((3, 1), -1), 1))


def source():
    return SourceSignal(PairsAsOf(*LOG, ITEMS), END, ITEMS, 4)


def succession():
    return SuccessionSignal(PairsAsOf(*LOG, ITEMS), END, ITEMS, 6, 3)


def count(first, second, time):
    return sum((LOG[0] == first) & (LOG[1] == second) & (LOG[2] < time) & (LOG[0] != LOG[1]))


@pytest.mark.parametrize("build", [source, succession])
def test_the_table_says_what_the_log_says_at_the_end_of_the_fit(build):
    signal = build()
    served = signal.features(REQUESTS, CANDIDATES, None).numpy()
    trained = signal.features(REQUESTS, CANDIDATES, tf.fill([3], np.int64(END))).numpy()
    assert np.abs(served).max() > 1
    np.testing.assert_allclose(served, trained, atol=1e-5)


def test_channels_of_a_source_item():
    time = tf.constant([50, 50, 60], tf.int64)
    found = source().features(REQUESTS, CANDIDATES, time).numpy()
    for row, (origin, when) in enumerate([(2, 50), (None, 50), (7, 60)]):
        for item in range(ITEMS):
            ahead = 0 if origin is None else count(origin, item, when)
            behind = 0 if origin is None else count(item, origin, when)
            total = 0 if origin is None else sum(count(origin, b, when) for b in range(ITEMS))
            np.testing.assert_allclose(
                found[row, item], [np.log1p(ahead), ahead / (total + 3), np.log1p(behind)], atol=1e-5
            )
    assert (found[:, -1] == 0).all(), "an unknown candidate"


def test_successions_sum_over_the_last_items_each_once():
    found = succession().features(REQUESTS, CANDIDATES, tf.fill([3], np.int64(END))).numpy()
    for item in range(ITEMS):
        np.testing.assert_allclose(found[0, item, 0], np.log1p(count(1, item, END) + count(4, item, END)), atol=1e-5)
    assert (found[2] == 0).all()


def test_proposals_are_the_strongest_partners():
    strength = [count(2, b, END) + 0.25 * count(b, 2, END) for b in range(ITEMS)]
    proposed = source().proposals(REQUESTS).numpy()
    np.testing.assert_allclose(np.array(strength)[proposed[0]], np.sort(strength)[::-1][:4])
    assert (proposed[1] == -1).all()
    after = succession().proposals(REQUESTS).numpy()
    assert after.shape == (3, 6)
    assert (after[2] == -1).all()
    assert (after[0, :4] >= 0).all()
    assert (after[0, 4:] == -1).all(), "an item that comes again proposes once"


@pytest.mark.parametrize("build", [source, succession])
def test_requests_from_nowhere_have_no_signal_and_no_proposals(build):
    nowhere = signal_request(3, recent=np.full((3, 3), -1))
    signal = build()
    found = signal.features(nowhere, CANDIDATES, None).numpy()
    np.testing.assert_array_equal(found, np.zeros((3, ITEMS + 1, 3)))
    assert (signal.proposals(nowhere).numpy() == -1).all()


def test_a_log_without_pairs_has_no_signal():
    empty = np.zeros(0, np.int64)
    signal = SourceSignal(PairsAsOf(empty, empty, empty, ITEMS), END, ITEMS, 4)
    np.testing.assert_array_equal(signal.features(REQUESTS, CANDIDATES, None), np.zeros((3, ITEMS + 1, 3)))
    assert (signal.proposals(REQUESTS).numpy() == -1).all()


def test_fewer_candidates_than_last_items_are_none():
    """Each of the last items proposes as many as the others."""
    signal = SuccessionSignal(PairsAsOf(*LOG, ITEMS), END, ITEMS, 2, 3)
    assert signal.proposals(REQUESTS).shape == (3, 0)
