"""What is traced once answers for every size as it would without."""

import numpy as np
import pytest

from unified_ranker.evaluation.traced_once import TracedOnce
from unified_ranker.towers.tensorflow import tf


@pytest.fixture
def likeness():
    """Vectors of events against a request's, those that are named; and how often it was traced."""
    traces = []

    def call(state, chosen):
        traces.append(1)
        return tf.einsum("bd,bnd->bn", state["embedding"], tf.gather(state["events"], chosen, batch_dims=1))

    return TracedOnce(call), traces


def test_one_trace_serves_every_size(likeness):
    call, traces = likeness
    rng = np.random.default_rng(0)
    for rows, events, chosen in ((3, 7, 2), (1, 4, 9), (5, 1, 1), (2, 6, 0)):
        state = {"embedding": rng.normal(size=(rows, 4)), "events": rng.normal(size=(rows, events, 4))}
        which = rng.integers(0, events, (rows, chosen))
        found = call({name: tf.constant(value, tf.float32) for name, value in state.items()}, tf.constant(which))
        picked = np.take_along_axis(state["events"], which[..., None], 1)
        np.testing.assert_allclose(found, np.einsum("bd,bnd->bn", state["embedding"], picked), rtol=1e-4, atol=1e-6)
    assert len(traces) == 1


def test_what_is_one_number_a_place_may_have_any_number_of_places():
    traces = []

    def total(state):
        traces.append(1)
        return tf.reduce_sum(state["history_value"], 1) + state["embedding"][:, 0]

    call = TracedOnce(total, no_vectors=("history_value",))
    for events in (100, 91, 1):
        state = {"history_value": tf.ones([2, events]), "embedding": tf.ones([2, 4])}
        np.testing.assert_array_equal(call(state), [events + 1.0] * 2)
    assert len(traces) == 1


def test_a_vector_of_another_width_is_refused(likeness):
    call, _ = likeness
    chosen = tf.zeros([2, 1], tf.int32)
    call({"embedding": tf.ones([2, 4]), "events": tf.ones([2, 3, 4])}, chosen)
    with pytest.raises(TypeError):
        call({"embedding": tf.ones([2, 5]), "events": tf.ones([2, 3, 5])}, chosen)
