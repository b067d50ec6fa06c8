"""What the user had before: counted as of the request, and the same in training and serving."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_toy import signal_request

from unified_ranker.prepare.examples import Histories
from unified_ranker.signals.past import PastItems
from unified_ranker.signals.repeats import Repeats, RepeatSignal, occurrences
from unified_ranker.towers.tensorflow import tf

ITEMS = 6
# Newest first: 4 stood beside 2 twice, once on either side; 5 is out of reach; -1 is an item that is not known.
RECENT = [[4, 2, 0, 5, 5, 5, -1, 2, 4, 3], [1, 1, 1, -1, -1, -1, -1, -1, -1, -1]]


def asked(source, recent=RECENT):
    return signal_request(len(source), source_item=source, recent=recent)


def signal(**changes):
    return RepeatSignal(Repeats(type="repeats", **{"window": 10, "reach": 1, **changes}))


def candidates(rows):
    return tf.constant(np.append(np.tile(np.arange(ITEMS), (rows, 1)), np.full((rows, 1), -1), 1))


def test_counts_of_the_candidate_and_beside_the_source():
    found = signal().features(asked([2, -1]), candidates(2), None).numpy()
    had = np.array([[1, 0, 2, 1, 2, 3, 0], [0, 3, 0, 0, 0, 0, 0]])
    near = np.array([[1, 0, 0, 0, 2, 0, 0], [0, 0, 0, 0, 0, 0, 0]])
    np.testing.assert_allclose(found[..., 0], np.log1p(had), atol=1e-6)
    np.testing.assert_allclose(found[..., 1], np.log1p(near), atol=1e-6)
    np.testing.assert_allclose(found[..., 2], near / 3, atol=1e-6)


def test_reach_and_window():
    further = signal(reach=2).features(asked([2, 1]), candidates(2), None).numpy()
    np.testing.assert_allclose(np.expm1(further[0, :, 1]), [1, 0, 0, 1, 2, 2, 0], atol=1e-5)
    shorter = signal(window=3).features(asked([2, 1]), candidates(2), None).numpy()
    np.testing.assert_allclose(np.expm1(shorter[0, :, 0]), [1, 0, 1, 0, 1, 0, 0], atol=1e-5)


def test_proposals_stood_beside_the_source_newest_first():
    proposed = signal(candidates=4).proposals(asked([2, -1])).numpy()
    np.testing.assert_array_equal(proposed, [[4, 0, 4, -1], [-1] * 4])
    assert signal(candidates=0).proposals(asked([2, -1])).shape == (2, 0)
    assert signal(candidates=40).proposals(asked([2, -1])).shape == (2, 40)


def test_a_stranger_has_none():
    found = signal().features(asked([2], [[-1] * 10]), candidates(1), None).numpy()
    assert (found == 0).all()


@settings(deadline=None, max_examples=30)
@given(st.lists(st.integers(-1, 5), min_size=1, max_size=12), st.lists(st.integers(-1, 6), min_size=1, max_size=5))
def test_occurrences_are_counts(items, wanted):
    found = occurrences(tf.constant([items], tf.int64), tf.constant([wanted], tf.int64)).numpy()[0]
    np.testing.assert_array_equal(found, [items.count(w) if w >= 0 else 0 for w in wanted])


def test_the_past_is_strictly_before_and_bounded():
    none = np.array([""] * 5, object)
    histories = Histories(
        offsets=np.array([0, 3, 3, 5]), item=np.array([7, 8, 9, 1, 2]), event_type=none, task=none,
        timestamp=np.array([10, 20, 20, 5, 30]), value=np.zeros(5, np.float32),
    )  # fmt: skip
    past = PastItems(histories, 2)
    user, time = np.array([0, 0, 0, 1, 2, 3, -1]), np.array([20, 21, 10, 99, 99, 99, 99])
    expected = [[7, -1], [9, 8], [-1, -1], [-1, -1], [2, 1], [-1, -1], [-1, -1]]
    np.testing.assert_array_equal(past.before(user, time), expected)


def test_a_log_without_events_has_no_past():
    none, empty = np.zeros(0, object), np.zeros(0, np.int64)
    histories = Histories(np.array([0]), empty, none, none, empty, np.zeros(0, np.float32))
    assert (PastItems(histories, 3).before(np.array([0, -1]), np.array([5, 5])) == -1).all()
