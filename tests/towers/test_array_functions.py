"""Rules of `core` that the graph applies: on tensors they give what they give on arrays."""

from dataclasses import replace

import numpy as np
import pytest
from any_event import COUNTED
from candidate_pairs import CATALOGUES, DECLARED, EVENTS, REQUESTS, TASK, TIMES, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.candidate_rule import Pairs, allowed, excluded_events, refusals
from unified_ranker.core.freshness import freshness, query_factor, stored_factor
from unified_ranker.core.positives import matches_any
from unified_ranker.core.request import History
from unified_ranker.core.times import DAY, NEVER
from unified_ranker.towers.array_functions import TENSORFLOW
from unified_ranker.towers.tensorflow import tf

NOW = 1_700_000_000
CREATED = st.one_of(st.just(NEVER), st.integers(-NOW, 2 * NOW))
SCALES = st.floats(0.01, 1000).map(lambda days: days * DAY)


def whole(numbers):
    return tf.constant(numbers, tf.int64)


@given(CATALOGUES, st.lists(REQUESTS, min_size=1, max_size=3), DECLARED)
def test_the_same_items_may_answer_for_the_same_reasons(catalogue, requests, declared):
    pairs = pairs_of(catalogue, requests, declared)
    tensors = Pairs(**{name: tf.constant(column) for name, column in vars(pairs).items()})
    np.testing.assert_array_equal(allowed(tensors), allowed(pairs))
    for reason, refused in refusals(tensors).items():
        np.testing.assert_array_equal(refused, refusals(pairs)[reason], err_msg=reason)


@given(EVENTS, TIMES, DECLARED)
def test_histories_exclude_the_same_items(events, moment, declared):
    history = History.of(events)
    tensors = replace(
        history, **{n: tf.constant(c, tf.string if c.dtype == object else None) for n, c in vars(history).items()}
    )
    np.testing.assert_array_equal(
        excluded_events(tensors, moment, TASK, declared), excluded_events(history, moment, TASK, declared)
    )


@given(
    st.lists(
        st.tuples(st.sampled_from(["click", "rating", "buy"]), st.sampled_from([np.nan, -1.0, 0.0, 3.5, 4.0])),
        min_size=1,
        max_size=8,
    ),
    st.lists(COUNTED, min_size=1, max_size=3),
)
def test_the_same_events_count(events, kinds):
    types, values = zip(*events, strict=True)
    arrays = matches_any(np.array(types, object), np.array(values, np.float32), kinds)
    np.testing.assert_array_equal(matches_any(tf.constant(types), tf.constant(values, tf.float32), kinds), arrays)


@given(st.lists(CREATED, min_size=1, max_size=4), st.lists(st.integers(1, 2 * NOW), min_size=1, max_size=3), SCALES)
def test_freshness_and_its_factors_are_as_exact_as_float32_allows(created, times, scale):
    """It has 24 bits for an exponent of up to 60."""
    made, asked = np.array(created)[None], np.array(times)[:, None]
    for rule in (freshness, stored_factor):
        found = rule(whole(made), whole(asked), scale, TENSORFLOW)
        np.testing.assert_allclose(found, rule(made, asked, scale), rtol=1e-5)
    found = query_factor(whole(asked), whole(NOW), scale, TENSORFLOW)
    np.testing.assert_allclose(found, query_factor(asked, NOW, scale), rtol=1e-5)


@pytest.mark.parametrize(("later", "scales"), [(10_000, -60), (-10_000, 60)])
def test_what_a_request_holds_stays_finite(later, scales):
    found = query_factor(whole([NOW + later * DAY]), whole(NOW), DAY, TENSORFLOW).numpy()
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, [np.exp(float(scales))], rtol=1e-5)
