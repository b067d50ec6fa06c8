"""The item tower."""

import numpy as np
import pandas as pd
import pytest

from unified_ranker.config import ItemTower
from unified_ranker.core.times import NEVER
from unified_ranker.prepare.vocabulary import Scale, Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.feature_types.number import number_channels
from unified_ranker.towers.item import ItemEncoder
from unified_ranker.towers.served_columns import read_features
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.time import GAP_BUCKETS, gap_bucket

DIM = 8
FEATURES = [
    {"type": "text", "column": "title"},
    {"type": "categories", "column": "genres"},
    {"type": "category", "column": "maker"},
    {"type": "number", "column": "price", "log": True},
    {"type": "number", "column": "year"},
]
ITEMS = pd.DataFrame(
    {
        "title": ["red lamp", "blue lamp", "red lamp", "red lamp", "red lamp", None],
        "genres": [["a", "b"], ["a"], ["a", "b"], ["a", "b"], ["a", "b"], []],
        "maker": ["m", "n", "m", "m", "m", None],
        "price": [10.0, 20.0, 10.0, 10.0, 10.0, None],
        "year": pd.array([1990, 2000, 1990, 1990, 1990, None], "Int64"),
    }
)
# The items 0, 2, 3 and 4 have the same content; of them 0 and 2 are trained.
SCALES = {"price": Scale(2.5, 0.5), "year": Scale(1995.0, 5.0)}
TRAINED = np.array([True, True, True, False, False, False])
UNKNOWN = -1


def build(mask_rate=0.0, as_of=0, **settings):
    tf.keras.utils.set_random_seed(6)
    config = ItemTower(dim=DIM, features=FEATURES, text={"buckets": 256}, **settings)
    vocabulary = Vocabulary(
        tasks=[],
        event_types=[],
        categories=["genres=a", "genres=b", "maker=m", "maker=n"],
        item_numbers=SCALES,
        user_numbers={},
        id_mask_rate=mask_rate,
    )
    text = config.text.build(DIM, ITEMS["title"].fillna("").to_numpy(object))
    return ItemEncoder(config, vocabulary, text, CategoryTable(vocabulary.categories, DIM), TRAINED, as_of)


@pytest.fixture(scope="module")
def tower():
    return build()


def encoded(tower, items=ITEMS, index=None, created=NEVER):
    fields = {name: tf.constant(column) for name, column in read_features(items, tower.config.features).items()}
    index = np.arange(len(items)) if index is None else index
    return tower.encode(fields, tf.constant(index, tf.int64), tf.fill([len(index)], np.int64(created)))


def vectors(tower, items=ITEMS, index=None, training=False):
    return tower(encoded(tower, items, index), training=training).numpy()


def test_vectors_have_unit_length(tower):
    np.testing.assert_allclose(np.linalg.norm(vectors(tower), axis=1), 1, atol=1e-5)


def test_the_id_of_a_trained_item_tells_it_from_its_like(tower):
    v = vectors(tower)
    assert v[0] @ v[2] < 0.99


def test_untrained_items_of_equal_content_are_equal(tower):
    v = vectors(tower)
    np.testing.assert_array_equal(v[3], v[4])
    # So is an item that the catalogue does not have; up to rounding, since processors multiply one row by other means.
    np.testing.assert_allclose(vectors(tower, ITEMS.iloc[[0]], [UNKNOWN])[0], v[3], atol=1e-6)


def test_every_feature_tells(tower):
    one = ITEMS.iloc[[0]].reset_index(drop=True)
    before = vectors(tower, one, [UNKNOWN])
    for column, value in (("title", "green chair"), ("genres", ["b"]), ("maker", "n"), ("price", 12.0), ("year", 1991)):
        other = one.copy()
        other.at[0, column] = value
        assert np.abs(vectors(tower, other, [UNKNOWN]) - before).max() > 1e-4, column


def test_an_item_without_features_is_like_any_other_such_item(tower):
    without = vectors(tower)[5]
    np.testing.assert_allclose(vectors(tower, ITEMS.iloc[[5]], [UNKNOWN])[0], without, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(without), 1, atol=1e-5)
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(tower(encoded(tower), training=True)[5] ** 3)
    gradients = tape.gradient(loss, tower.trainable_variables, unconnected_gradients="zero")
    for gradient in gradients:
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_unknown_categories_are_left_out_of_the_mean(tower):
    one = ITEMS.iloc[[0]].reset_index(drop=True)
    known, mixed = one.copy(), one.copy()
    known.at[0, "genres"], mixed.at[0, "genres"] = ["a"], ["a", "nonsense", "other"]
    np.testing.assert_allclose(vectors(tower, known, [0]), vectors(tower, mixed, [0]), atol=1e-6)


def test_the_vector_is_the_sum_of_its_parts(tower):
    parts = encoded(tower).features.parts
    table = tower.categories.table.numpy()
    genres = np.array([(table[1] + table[2]) / 2, table[1]])
    maker = table[[3, 4]]
    numbers = []
    for name in ("price", "year"):
        value, scale = parts[f"{name}/value"], SCALES[name]
        numbers.append(number_channels(value, np.isnan(value), scale.mean, scale.deviation).numpy()[:2])
    side = np.concatenate([genres, maker, *numbers], 1)
    content = tower.content(tower.hidden(tf.constant(side))).numpy()
    text = tower.text(tf.constant(["red lamp", "blue lamp"])).numpy()
    total = tower.ids.numpy()[[1, 2]] + text + genres + maker + content
    np.testing.assert_allclose(vectors(tower)[:2], total / np.linalg.norm(total, axis=1, keepdims=True), atol=1e-5)


def test_ids_are_masked_in_training_at_the_declared_rate():
    tower = build(mask_rate=0.5)
    many = ITEMS.iloc[[0] * 2000].reset_index(drop=True)
    unmasked, masked = vectors(tower)[0], vectors(tower)[3]
    drawn = vectors(tower, many, np.zeros(2000), training=True)
    is_masked = np.abs(drawn - masked).max(1) < 1e-6
    assert 0.45 < is_masked.mean() < 0.55
    np.testing.assert_allclose(drawn[~is_masked], np.tile(unmasked, ((~is_masked).sum(), 1)), atol=1e-6)
    still = vectors(tower, many, np.zeros(2000))
    np.testing.assert_allclose(still, np.tile(unmasked, (2000, 1)), atol=1e-6)


def test_a_logarithm_keeps_an_absent_number_absent(tower):
    price = encoded(tower).features.parts["price/value"].numpy()
    np.testing.assert_allclose(price[:2], np.log1p([10, 20]), rtol=1e-6)
    assert np.isnan(price[5])
    negative = ITEMS.iloc[[0]].assign(price=-3.0)
    assert encoded(tower, negative, [0]).features.parts["price/value"].numpy() == [0]


def test_an_item_of_nothing_but_its_id():
    vocabulary = Vocabulary([], [], [], {}, {}, 0.0)
    config = ItemTower(dim=DIM)
    text = config.text.build(DIM, np.array(["a"], object))
    tower = ItemEncoder(config, vocabulary, text, CategoryTable([], DIM), TRAINED)
    v = vectors(tower, ITEMS[:4], np.array([0, 1, 3, -1]))
    np.testing.assert_allclose(np.linalg.norm(v, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(v[2], v[3])
    assert np.abs(v[0] - v[1]).max() > 0.01


# --- the age gate -------------------------------------------------------------------------------------------------

DAY = 86_400
AS_OF = 1_000 * DAY


@pytest.fixture(scope="module")
def gated():
    tower = build(age_gate=True, as_of=AS_OF)
    vectors_of_age(tower, 0)
    # Shut below a week, open from there on; half open where the age is not known.
    weeks = int(gap_bucket(tf.constant([7 * DAY])).numpy()[0])
    tower.age_gate.assign([-30.0 if n < weeks else 30.0 for n in range(GAP_BUCKETS)] + [0.0])
    return tower


def vectors_of_age(tower, days, moments=None):
    """Vectors of the items, which are all so old as of the end of the window; None = undated."""
    created = NEVER if days is None else AS_OF - int(days * DAY)
    fields = encoded(tower, created=created)
    return tower(fields, moments=moments).numpy()


def test_a_young_item_is_its_content_and_an_old_one_its_id_too(gated):
    young, old, undated = (vectors_of_age(gated, days) for days in (1, 100, None))
    np.testing.assert_allclose(young[0], young[2], atol=1e-5)
    assert old[0] @ old[2] < 0.99
    assert old[0] @ old[2] < undated[0] @ undated[2] < 0.999
    # The item behind them has other content.
    assert young[0] @ young[1] < 0.99


def test_age_is_as_of_the_request(gated):
    later = tf.fill([len(ITEMS)], tf.constant(AS_OF + 99 * DAY, tf.int64))
    np.testing.assert_allclose(vectors_of_age(gated, 1, later), vectors_of_age(gated, 100), atol=1e-6)
    before = tf.fill([len(ITEMS)], tf.constant(AS_OF - 50 * DAY, tf.int64))
    np.testing.assert_allclose(vectors_of_age(gated, 1, before), vectors_of_age(gated, 0), atol=1e-6)


def test_without_a_gate_there_is_no_weight_for_it(tower):
    assert not hasattr(tower, "age_gate")
