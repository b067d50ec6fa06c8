"""A tower of a release as a Keras layer: frozen or trained on, and saved as part of another model."""

import numpy as np
import pytest
from small_project import built_project

from unified_ranker.core.request import History, Request, to_arrays
from unified_ranker.export.tower import SavedTower
from unified_ranker.towers.tensorflow import tf

pytestmark = pytest.mark.xdist_group("small_project")


def requests(count=3):
    rows = [
        {"item_id": f"i{n}", "event_type": "click", "task": "home_feed", "timestamp": 1_704_100_000 + n}
        for n in range(3)
    ]
    asked = [Request(f"u{n}", "home_feed", timestamp=1_705_000_000, history=History.of(rows)) for n in range(count)]
    return {name: tf.constant(column) for name, column in to_arrays(asked, 8).items()}


def test_a_frozen_tower_has_nothing_to_train_and_one_that_is_not_learns(tmp_path):
    release = built_project().release
    frozen, trained = SavedTower(release), SavedTower(release, trainable=True)
    inputs = requests()
    np.testing.assert_allclose(frozen(inputs), trained(inputs))
    np.testing.assert_allclose(np.linalg.norm(frozen(inputs), axis=1), 1, atol=1e-5)
    assert frozen.trainable_weights == []
    before = trained(inputs).numpy()
    optimizer = tf.keras.optimizers.legacy.Adam(0.05)
    for _ in range(5):
        with tf.GradientTape() as tape:
            loss = tf.reduce_sum(trained(inputs)[:, 0])
        pairs = zip(tape.gradient(loss, trained.tower_weights), trained.tower_weights, strict=True)
        optimizer.apply_gradients([(g, v) for g, v in pairs if g is not None])
    assert trained(inputs).numpy()[:, 0].mean() < before[:, 0].mean() - 0.05
    np.testing.assert_allclose(frozen(inputs).numpy(), before, atol=1e-6)


def test_a_model_with_a_tower_is_saved_and_loaded_as_one(tmp_path):
    tower = SavedTower(built_project().release)
    fields = {n: tf.keras.Input(s.shape[1:], dtype=s.dtype, name=n) for n, s in tower.fields.items()}
    model = tf.keras.Model(fields, tf.keras.layers.Dense(2)(tower(fields)))
    right = model(requests()).numpy()
    tf.saved_model.save(model, str(tmp_path / "saved"))
    served = tf.saved_model.load(str(tmp_path / "saved")).signatures["serving_default"]
    (answer,) = served(**requests()).values()
    np.testing.assert_allclose(answer.numpy(), right, atol=1e-6)


def test_an_item_tower_embeds_items(tmp_path):
    tower = SavedTower(built_project().release, "embed_items")
    fields = {
        "item_id": tf.constant(["new"]), "created_at": tf.constant([0], tf.int64),
        "title": tf.constant(["The Blue Western"]), "categories": tf.constant([["western"]]),
        "minutes": tf.constant([90.0]),
    }  # fmt: skip
    assert tower(fields).shape == (1, 8)
