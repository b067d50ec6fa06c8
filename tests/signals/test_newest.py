"""Signal `newest`: items by their age at the request, and nothing from its future."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from signal_toy import signal_request

from unified_ranker.core.times import NEVER
from unified_ranker.signals.newest import NewestSignal
from unified_ranker.towers.tensorflow import tf

HOUR = 3600
DAY = 24 * HOUR
# Item 2 has no date; 0 and 4 are of the same second.
CREATED = np.array([5 * DAY, 9 * DAY, NEVER, 2 * DAY, 5 * DAY])
UNKNOWN = -1


def ask(*times):
    return signal_request(len(times), timestamp=times)


def newness(*times, candidates=(0, 1, 2, 3, 4, UNKNOWN)):
    rows = tf.constant([candidates] * len(times), tf.int64)
    return NewestSignal(CREATED, 3).features(ask(*times), rows, None).numpy()[..., 0]


def test_the_number_falls_with_the_logarithm_of_the_age_in_hours():
    found = newness(10 * DAY)[0]
    ages = np.array([5, 1, 8, 8, 5]) * 24
    np.testing.assert_allclose(found[:5], -np.log1p(ages), rtol=1e-5)
    assert found[5] == 0, "an item that came since the release is new"


def test_an_undated_item_is_as_old_as_the_oldest():
    found = newness(10 * DAY)[0]
    assert found[2] == found[3] == found.min()


def test_age_is_as_of_each_request():
    found = newness(5 * DAY + HOUR, 30 * DAY)
    np.testing.assert_allclose(found[:, 0], [-np.log1p(1), -np.log1p(25 * 24)], rtol=1e-5)
    # Of what is not there yet nothing is known; the candidate rule keeps it out.
    assert found[0, 1] == 0


def test_the_newest_are_proposed_in_order_and_nothing_from_the_future():
    proposed = NewestSignal(CREATED, 4).proposals(ask(10 * DAY, 5 * DAY, 5 * DAY + 1, DAY)).numpy()
    assert proposed[0].tolist() in ([1, 4, 0, 3], [1, 0, 4, 3])
    assert proposed[1].tolist() == [3, -1, -1, -1], "what is created in that very second comes later"
    assert set(proposed[2][:2]) == {0, 4}
    assert proposed[3].tolist() == [-1] * 4


def test_undated_items_are_never_proposed_and_a_catalogue_of_them_says_nothing():
    undated = NewestSignal(np.full(3, NEVER), 2)
    assert undated.proposals(ask(DAY)).numpy().tolist() == [[-1, -1]]
    found = undated.features(ask(DAY), tf.constant([[0, 1, 2]], tf.int64), None).numpy()
    assert np.ptp(found) == 0


@settings(max_examples=40)
@given(
    st.lists(st.one_of(st.just(NEVER), st.integers(0, 20)), min_size=1, max_size=9),
    st.integers(0, 22),
    st.integers(0, 12),
)
def test_proposals_are_the_last_that_were_created_before(created, moment, most):
    created = np.array(created, np.int64)
    proposed = NewestSignal(created, most).proposals(ask(moment)).numpy()[0]
    own = proposed[proposed >= 0]
    there = created[(created != NEVER) & (created < moment)]
    assert created[own].tolist() == np.sort(there)[::-1][:most].tolist()
    assert len(set(own.tolist())) == len(own)
    assert (proposed[len(own) :] == UNKNOWN).all()
