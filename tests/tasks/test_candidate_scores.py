"""What candidates are drawn by: vectors and quality as of each example, against the exact features."""

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state

from unified_ranker.model.catalogue import build_catalogue, quality_of
from unified_ranker.tasks.candidate_scores import CandidateScores
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.tensorflow import tf

ROWS = 7
FEATURES = ("popularity", "trend", "rating", "freshness")


@pytest.fixture(scope="module")
def world():
    prepared, config = tiny_world.prepared(), tiny_world.config()
    fit_end = int(prepared.split.validation_end)
    quality = quality_of(prepared, config, fit_end)
    return prepared, quality, build_catalogue(prepared, config, fit_end, quality)


def scorer(world, weights, times=None):
    _, quality, catalogue = world
    config = tiny_world.config(home_feed={"quality_weights": weights}, more_like_this={"quality_weights": {}})
    return CandidateScores(config, len(catalogue.item_ids), catalogue.times if times is None else times, quality.gather)


def batch(world):
    prepared, _, catalogue = world
    rng = np.random.default_rng(5)
    count = len(catalogue.item_ids)
    vectors = rng.normal(size=(count, 4)).astype(np.float32)
    times = np.sort(rng.choice(prepared.examples.timestamp, ROWS))
    embedding = tf.constant(rng.normal(size=(ROWS, 4)), tf.float32)
    return embedding, ItemVectors(None, tf.constant(vectors), tf.constant(catalogue.created_at)), times


def weights_of(weights):
    return np.tile([weights.get(name, 0.0) for name in FEATURES], (ROWS, 1)).astype(np.float32)


def scores(scorer, embedding, items, times, weights):
    query = encoded_state(ROWS, 4, embedding=embedding, timestamp=tf.constant(times))
    return scorer(query, items, tf.constant(weights_of(weights))).numpy()


def test_freshness_is_exact(world):
    weights = {"freshness": 0.7}
    embedding, items, times = batch(world)
    found = scores(scorer(world, weights), embedding, items, times, weights)
    exact = world[1].matrix(times) @ weights_of(weights)[0] + embedding.numpy() @ items.vectors.numpy().T
    existed = items.created.numpy()[None] <= times[:, None]
    assert existed.any()
    np.testing.assert_allclose(found[existed], exact[existed], rtol=1e-4, atol=1e-5)


def test_counts_are_as_of_the_moment_before(world):
    weights = {"popularity": 0.5, "rating": 0.1}
    embedding, items, times = batch(world)
    moments = times[[0, 3]]
    found = scores(scorer(world, weights, moments), embedding, items, times, weights)
    seen = np.where(times < moments[1], moments[0], moments[1])
    exact = world[1].matrix(seen) @ weights_of(weights)[0] + embedding.numpy() @ items.vectors.numpy().T
    np.testing.assert_allclose(found, exact, rtol=1e-4, atol=1e-5)


def test_a_part_of_the_catalogue_has_the_same_scores(world):
    weights = {"popularity": 0.5, "freshness": 0.3}
    embedding, items, times = batch(world)
    part = np.array([1, 4, 9, 15])
    few = ItemVectors(tf.constant(part), tf.gather(items.vectors, part), tf.gather(items.created, part))
    made = scorer(world, weights)
    whole = scores(made, embedding, items, times, weights)
    np.testing.assert_allclose(scores(made, embedding, few, times, weights), whole[:, part], rtol=1e-5)


def test_no_gradient_flows(world):
    embedding, items, times = batch(world)
    variable = tf.Variable(embedding)
    with tf.GradientTape() as tape:
        query = encoded_state(ROWS, 4, embedding=tf.identity(variable), timestamp=tf.constant(times))
        total = tf.reduce_sum(scorer(world, {})(query, items, tf.constant(weights_of({}))))
    assert tape.gradient(total, variable) is None
