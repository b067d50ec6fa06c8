"""The blend of a candidate's numbers: against NumPy, request by request."""

import json

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.tasks.blend import BLEND, Blend, FittedBlend, standardised
from unified_ranker.towers.tensorflow import tf

CHANNELS = ("score", "retrieval", "popular", "constant")
FACTORS = np.array([0.5, 0.0, 2.0, 7.0], np.float32)
RNG = np.random.default_rng(8)
NUMBERS = RNG.normal(3, 5, (3, 9, 4)).astype(np.float32)
NUMBERS[..., 3] = 4.25
PRESENT = np.arange(9)[None] < np.array([9, 5, 1])[:, None]
TASKS = np.array([1, 2, 1])


def by_hand(numbers, present):
    """Each channel less its mean, over its deviation, of the candidates alone; zeros elsewhere."""
    out = np.zeros(numbers.shape)
    for row, there in enumerate(present):
        for channel in range(numbers.shape[2]):
            values = numbers[row, there, channel].astype(float)
            if len(values) and np.ptp(values) > 0:
                out[row, there, channel] = (values - values.mean()) / values.std()
    return out


def fitted(task="search", factors=FACTORS):
    return FittedBlend(task, 200, 0.5, factors, {BLEND: 0.4, "score": 0.1, "popular": 0.3})


def blend(**tasks):
    layer = Blend(CHANNELS, 2)
    layer.assign({int(number[1:]): fit for number, fit in tasks.items()})
    return layer


def call(layer, numbers=NUMBERS, present=PRESENT, tasks=TASKS):
    return layer(tf.constant(numbers), tf.constant(present), tf.constant(tasks)).numpy()


def test_numbers_are_standardised_among_the_candidates_of_a_request():
    found = standardised(tf.constant(NUMBERS), tf.constant(PRESENT)).numpy()
    np.testing.assert_allclose(found, by_hand(NUMBERS, PRESENT), atol=1e-4)
    assert np.abs(found[0, :, 0]).max() > 1


@settings(max_examples=40)
@given(
    st.lists(st.floats(-100, 100, width=32), min_size=1, max_size=8), st.integers(0, 6), st.floats(-1e6, 1e6, width=32)
)
def test_what_stands_in_places_of_no_candidate_changes_nothing(values, padding, noise):
    numbers = np.array(values, np.float32)[None, :, None]
    present = np.ones((1, len(values)), bool)
    alone = standardised(tf.constant(numbers), tf.constant(present)).numpy()
    padded = np.pad(numbers, [(0, 0), (0, padding), (0, 0)], constant_values=noise)
    wider = standardised(tf.constant(padded), tf.constant(np.pad(present, [(0, 0), (0, padding)]))).numpy()
    np.testing.assert_allclose(wider[:, : len(values)], alone, atol=1e-4)
    assert not wider[:, len(values) :].any()


@pytest.mark.parametrize("nothing", [np.nan, np.inf])
def test_places_of_no_candidate_may_hold_anything(nothing):
    numbers = np.where(PRESENT[..., None], NUMBERS, nothing).astype(np.float32)
    np.testing.assert_allclose(
        standardised(tf.constant(numbers), tf.constant(PRESENT)),
        standardised(tf.constant(NUMBERS), tf.constant(PRESENT)),
        atol=1e-6,
    )


@pytest.mark.parametrize("value", [0.0, 1e-3, 0.1, -7.3, 1e7])
def test_a_channel_that_is_the_same_for_all_says_nothing(value):
    """Also where the mean of equal numbers is not quite the number: 0.1 has no exact mean of seven."""
    numbers = np.full((1, 7, 1), value, np.float32)
    assert not standardised(tf.constant(numbers), tf.constant(np.ones((1, 7), bool))).numpy().any()


def test_one_lone_count_does_not_outweigh_all_else():
    """Of 401 candidates one alone has a count: 20 deviations above the mean."""
    numbers = np.zeros((1, 401, 1), np.float32)
    numbers[0, 17] = 3.0
    found = standardised(tf.constant(numbers), tf.constant(np.ones((1, 401), bool))).numpy()[0, :, 0]
    assert by_hand(numbers, np.ones((1, 401), bool)).max() > 19
    assert found[17] == pytest.approx(10.0)
    assert found.argmax() == 17


def test_a_task_without_a_fit_keeps_the_score_of_the_head():
    np.testing.assert_array_equal(call(blend()), NUMBERS[..., 0])
    unknown = call(blend(_1=fitted(), _2=fitted()), tasks=np.zeros(3, np.int64))
    np.testing.assert_array_equal(unknown, NUMBERS[..., 0])


def test_a_fitted_task_has_the_weighted_sum_and_the_other_keeps_its_score():
    found = call(blend(_2=fitted()))
    expected = by_hand(NUMBERS, PRESENT) @ FACTORS
    np.testing.assert_allclose(found[1], expected[1], atol=1e-4)
    np.testing.assert_array_equal(found[[0, 2]], NUMBERS[[0, 2], :, 0])
    other = 3 * FACTORS[::-1].copy()
    both = call(blend(_1=fitted(factors=other), _2=fitted()))
    np.testing.assert_allclose(both[1], expected[1], atol=1e-4)
    np.testing.assert_allclose(both[0], by_hand(NUMBERS, PRESENT)[0] @ other, atol=1e-3)


def test_a_later_fit_of_one_task_leaves_the_other():
    layer = blend(_1=fitted(), _2=fitted())
    layer.assign({1: fitted(factors=np.ones(4, np.float32))})
    np.testing.assert_array_equal(layer.factors.numpy()[1:], [np.ones(4), FACTORS])


def test_a_fit_survives_json_and_names_its_best_channel():
    again = FittedBlend.of_json(json.loads(json.dumps(fitted().to_json())))
    assert again.best_channel == "popular"
    np.testing.assert_array_equal(again.factors, FACTORS)
    assert {**vars(again), "factors": 0} == {**vars(fitted()), "factors": 0}
