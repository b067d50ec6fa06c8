"""Quality weights that are learnt with the model, for the tasks that say so."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import train

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    config = tiny_world.config({"epochs": 3}, more_like_this={"quality_weights": "learnt"})
    return train(tiny_world.prepared(), config, tmp_path_factory.mktemp("learnt")).model


def test_they_are_learnt_where_declared_and_stay_elsewhere(model):
    weights = model.quality_weights.numpy()
    assert (np.abs(weights[2]) > 1e-3).any()
    np.testing.assert_allclose(weights[[0, 1, 3]], [[0] * 4, [0] * 4, [0.1, 0, 0, 0.05]], atol=1e-7)


def test_nothing_but_the_weights_learns_through_them(model):
    rng = np.random.default_rng(1)
    embedding, items, quality = (
        tf.Variable(rng.normal(size=shape), dtype=tf.float32) for shape in ((3, 8), (3, 5, 8), (3, 5, 4))
    )
    state = {"embedding": embedding, "task": tf.constant([1, 2, 3], tf.int64)}
    with tf.GradientTape() as tape:
        scores, learns = model.weigh(state, items, quality)
        loss = tf.reduce_sum(tf.where(learns[:, None], scores, 0.0) ** 2)
    learnt, *others = tape.gradient(loss, [model.learnt_weights, embedding, items])
    assert learns.numpy().tolist() == [False, True, False]
    assert others == [None, None]
    assert (np.abs(tf.convert_to_tensor(learnt)) > 1e-3).all()
    weights = model.quality_weights.numpy()[1:]
    expected = np.einsum("bd,bnd->bn", embedding, items) + np.einsum("bq,bnq->bn", weights, quality)
    np.testing.assert_allclose(scores, expected, atol=1e-5)


def test_the_head_does_not_move_them(model):
    rng = np.random.default_rng(2)
    state = {
        "embedding": tf.constant(rng.normal(size=(1, 8)), tf.float32),
        "source": tf.zeros([1, 8]),
        "context": tf.zeros([1, 16]),
        "task": tf.constant([2], tf.int64),
        "history": tf.zeros([1, 1, 8]),
        "history_mask": tf.constant([[False]]),
    }
    items, quality = (tf.constant(rng.normal(size=(1, 5, n)), tf.float32) for n in (8, 4))
    with tf.GradientTape() as tape:
        score, _, retrieval = model.rank(state, items, quality, tf.zeros([1, 5, model.signals.channels]))
    assert tape.gradient(score, model.learnt_weights) is None
    plain = np.einsum("bd,bnd->bn", state["embedding"], items)
    assert np.abs(retrieval - plain).max() > 1e-3, "they do count"
