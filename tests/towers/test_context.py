"""The context tower and the fields that it is told to see."""

from dataclasses import replace

import numpy as np
import pytest

from unified_ranker.config import ContextTower
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.context import ContextEncoder, RequestVectors
from unified_ranker.towers.tensorflow import tf

DIM, BATCH = 8, 5
ALL = ("query", "source_item", "country", "task", "previous_task", "time")
VOCABULARY = Vocabulary(["search", "feed"], [], ["country=GB", "country=US"], {}, {}, 0.0)


def build(fields=ALL, cross_layers=1):
    tf.keras.utils.set_random_seed(8)
    config = ContextTower(fields=fields, cross_layers=cross_layers)
    tower = ContextEncoder(config, VOCABULARY, DIM, CategoryTable(VOCABULARY.categories, DIM))
    tower(request())
    rng = np.random.default_rng(9)
    for variable in tower.trainable_variables:
        variable.assign_add(rng.normal(0, 0.2, variable.shape))
    return tower


def request():
    rng = np.random.default_rng(10)
    user, query, source = (tf.constant(rng.normal(size=(BATCH, DIM)), tf.float32) for _ in range(3))
    ones = tf.ones([BATCH], tf.int64)
    # A Monday morning, an hour after the last event.
    return RequestVectors(user, query, source, ones, ones, ones, ones * 1_700_000_000, ones * 3600)


CHANGES = {
    "query": {"query": tf.random.stateless_normal([BATCH, DIM], [1, 2])},
    "source_item": {"source": tf.random.stateless_normal([BATCH, DIM], [3, 4])},
    "country": {"country": tf.fill([BATCH], tf.constant(2, tf.int64))},
    "task": {"task": tf.fill([BATCH], tf.constant(2, tf.int64))},
    "previous_task": {"previous_task": tf.zeros([BATCH], tf.int64)},
    "time": {
        "timestamp": tf.fill([BATCH], tf.constant(1_700_030_000, tf.int64)),
        "gap": tf.fill([BATCH], tf.constant(-1, tf.int64)),
    },
}


def test_query_embeddings_have_unit_length():
    embedding, state = build()(request())
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
    assert state.shape == (BATCH, 2 * DIM)


def test_what_is_asked_can_count_more_than_who_asks_from_the_first_step_on():
    def likeness(asked_gate):
        tf.keras.utils.set_random_seed(8)
        config = ContextTower(asked_gate=asked_gate)
        tower = ContextEncoder(config, VOCABULARY, DIM, CategoryTable(VOCABULARY.categories, DIM))
        embedding, _ = tower(replace(request(), source=tf.zeros([BATCH, DIM])))
        return tf.reduce_sum(embedding * tf.math.l2_normalize(request().query, 1), 1).numpy()

    assert likeness(1.0).min() < 0.8
    assert likeness(30.0).min() > 0.97


@pytest.mark.parametrize("field", ALL)
def test_a_field_that_is_left_out_has_no_influence(field):
    tower = build(fields=tuple(f for f in ALL if f != field))
    before, after = tower(request()), tower(replace(request(), **CHANGES[field]))
    for one, other in zip(before, after, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("cross_layers", [0, 1, 2])
def test_every_field_that_is_declared_has_influence(cross_layers):
    tower = build(cross_layers=cross_layers)
    before = tower(request())[0].numpy()
    for field in ALL:
        for name, value in CHANGES[field].items():
            after = tower(replace(request(), **{name: value}))[0].numpy()
            assert (np.abs(after - before).max(1) > 1e-4).all(), (field, name)


def test_the_user_is_always_seen():
    tower = build(fields=())
    before, after = tower(request())[0], tower(replace(request(), user=-request().user))[0]
    assert (np.abs(np.asarray(after) - np.asarray(before)).max(1) > 1e-3).all()


def test_visible_blanks_what_the_head_must_not_see_either():
    tower = build(fields=("query", "task"))
    seen = tower.visible(request())
    for name in ("source", "country", "previous_task"):
        assert not np.any(getattr(seen, name)), name
    for name in ("user", "query", "task", "timestamp", "gap"):
        np.testing.assert_array_equal(getattr(seen, name), getattr(request(), name))


def test_query_and_source_keep_a_straight_path():
    """With crosses silent, the embedding is the gated sum of its parts."""
    tower = build()
    for layer in (tower.out, tower.project):
        for variable in layer.trainable_variables:
            variable.assign(tf.zeros_like(variable))
    asked = request()
    gates = tower.gates.numpy()[1]
    total = gates[1] * asked.query.numpy() + gates[2] * asked.source.numpy()
    np.testing.assert_allclose(tower(asked)[0], total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-5)


def test_requests_of_which_nothing_is_known_ask_for_the_same():
    zero, nothing = tf.zeros([BATCH], tf.int64), tf.zeros([BATCH, DIM])
    embedding, _ = build()(RequestVectors(nothing, nothing, nothing, zero, zero, zero, zero, zero - 1))
    np.testing.assert_allclose(embedding, np.tile(embedding[:1], (BATCH, 1)), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(embedding, axis=1), 1, atol=1e-5)
