"""Behaviours of every feature type: from a column of a table, and from a value of JSON, to the vector of a tower."""

import numpy as np
import pandas as pd
import pytest

from unified_ranker.log.column_types import TEXT
from unified_ranker.prepare.vocabulary import Scale
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.feature_group import FeatureGroup, fitting_types
from unified_ranker.towers.feature_types.base import ITEM_FEATURES, USER_FEATURES, SharedEncoders
from unified_ranker.towers.feature_types.number import number_channels
from unified_ranker.towers.served_columns import read_features
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.hashed import HashedText

DIM = 4
FRUIT = ("apple", "pear", "plum")
# Three different values, as a canonical table has them; what a type of another kind takes is added with the type.
VALUES = {
    pd.StringDtype: FRUIT,
    list: (["apple", "pear"], ["plum"], ["pear"]),
    float: (1.0, 2.5, 40.0),
    int: (1, 2, 40),
}
COLUMNS = {
    "text": pd.Series(VALUES[pd.StringDtype], dtype=TEXT),
    "lists": pd.Series(VALUES[list], dtype=object),
    "numbers": pd.Series(VALUES[float]),
    "whole": pd.Series(VALUES[int]),
    "times": pd.Series(pd.to_datetime(["2024-01-01"] * 3, utc=True)),
}


TOWERS = {"items": ITEM_FEATURES, "users": USER_FEATURES}


@pytest.fixture(params=[(tower, name) for tower, kinds in TOWERS.items() for name in kinds], ids="-".join)
def kind(request):
    """Every type of either tower."""
    where, name = request.param
    return TOWERS[where][name]


@pytest.fixture
def feature(kind):
    return kind(type=kind.model_fields["type"].annotation.__args__[0], column="c")


@pytest.fixture
def column(kind):
    """A column that the type can be declared of."""
    fitting = [c for c in COLUMNS.values() if kind.fits(c)]
    assert fitting, f"no column here fits {kind.__name__}: add one to COLUMNS"
    return fitting[0]


@pytest.fixture(scope="module")
def shared():
    tf.keras.utils.set_random_seed(3)
    text = HashedText(buckets=64).build(DIM, np.array(FRUIT, object))
    return SharedEncoders(text, CategoryTable([f"c={v}" for v in FRUIT], DIM), {"c": Scale(10.0, 5.0)})


def contribution(feature, shared, column):
    """Return the parts of the vector, each `[rows, n]`, as one array."""
    raw = {"c": tf.constant(feature.read(column))}
    group = FeatureGroup([feature], shared)
    [found] = group.contributions(group.look_up(raw))
    parts = [part for part in (found.vector, found.channels) if part is not None]
    assert parts, "a feature must contribute something"
    return np.concatenate([part.numpy() for part in parts], 1)


def with_null(column):
    return pd.concat([column, pd.Series([None], dtype=column.dtype)], ignore_index=True)


def test_the_column_decides_what_fits(kind):
    assert not kind.fits(COLUMNS["times"])
    assert any(kind.fits(column) for column in COLUMNS.values())


def test_a_null_does_not_keep_a_column_from_fitting(kind, column):
    assert kind.fits(with_null(column.astype("Int64") if column.dtype == "int64" else column))


def test_the_served_input_is_of_the_declared_type_and_rank(feature, column):
    raw = feature.read(column)
    assert raw.shape[0] == len(column)
    assert raw.ndim == (2 if feature.listed else 1)
    assert tf.constant(raw).dtype == tf.as_dtype(feature.dtype)


def test_an_absent_value_is_blank_in_the_served_input(feature, column):
    blank = feature.read(with_null(column))[-1]
    assert all(v == "" if isinstance(v, str) else np.isnan(v) for v in np.atleast_1d(blank))


def test_values_of_json_are_read_like_the_table(feature, column):
    """What is put in while serving is embedded like what was in the log."""
    values = [*column.tolist(), None]
    assert all(feature.accepts(v) for v in values[:-1] if not isinstance(v, int) or feature.dtype == "float32")
    np.testing.assert_array_equal(feature.read(feature.to_column(values)), feature.read(with_null(column)))


@pytest.mark.parametrize("value", [{"a": 1}, True, [1, 2], [["a"]]])
def test_a_value_of_another_kind_is_not_accepted(feature, value):
    assert not feature.accepts(value)
    assert feature.holds


def test_equal_values_contribute_alike_and_others_differ(feature, shared, column):
    found = contribution(feature, shared, pd.concat([column, column.iloc[:1]], ignore_index=True))
    np.testing.assert_allclose(found[0], found[-1], atol=1e-6)
    for one, other in ((0, 1), (1, 2), (0, 2)):
        assert np.abs(found[one] - found[other]).max() > 1e-3


def test_an_absent_value_contributes_finite_numbers_and_learns(feature, shared, column):
    raw = {"c": tf.constant(feature.read(with_null(column)))}
    group = FeatureGroup([feature], shared)
    weights = [shared.categories.table, *shared.text.learnt]
    with tf.GradientTape() as tape:
        [found] = group.contributions(group.look_up(raw))
        parts = [part for part in (found.vector, found.channels) if part is not None]
        loss = tf.add_n([tf.reduce_sum(part**3) for part in parts])
    assert np.isfinite(loss.numpy())
    for gradient in tape.gradient(loss, weights, unconnected_gradients="zero"):
        assert np.isfinite(tf.convert_to_tensor(gradient)).all()


def test_it_is_the_same_in_a_graph(feature, shared, column):
    raw = feature.read(column)
    group = FeatureGroup([feature], shared)

    @tf.function(autograph=False)
    def embed(value):
        [found] = group.contributions(group.look_up({"c": value}))
        return [part for part in (found.vector, found.channels) if part is not None]

    parts = np.concatenate([part.numpy() for part in embed(tf.constant(raw))], 1)
    np.testing.assert_allclose(parts, contribution(feature, shared, column), atol=1e-6)


def test_what_reads_text_contributes_a_vector_alone(feature, shared, column):
    group = FeatureGroup([feature], shared)
    looked_up = group.look_up({"c": tf.constant(feature.read(column))})
    assert group.without_texts(looked_up).parts == ({} if feature.reads_text else looked_up.parts)
    if feature.reads_text:
        [found] = group.contributions(looked_up)
        assert found.channels is None
        assert found.vector.shape == (len(column), DIM)


# --- single types -------------------------------------------------------------------------------------------------


def test_types_that_a_column_fits():
    fitting = {name: fitting_types(column, ITEM_FEATURES) for name, column in COLUMNS.items()}
    assert fitting == {
        "text": ("category", "text"),
        "lists": ("categories",),
        "numbers": ("number",),
        "whole": ("category", "number"),
        "times": (),
    }


def item_feature(name, **settings):
    return ITEM_FEATURES[name](type=name, column="c", **settings)


def test_lists_are_padded_to_the_longest():
    feature = item_feature("categories")
    assert feature.read(COLUMNS["lists"]).tolist() == [["apple", "pear"], ["plum", ""], ["pear", ""]]
    assert feature.read(pd.Series([[], None], dtype=object)).tolist() == [[""], [""]]
    assert feature.to_column(["a | b|", ("c",), None]).tolist() == [["a", "b"], ["c"], []]


def test_rare_categories_have_no_row():
    column = pd.Series(["a", "b", "a", None], dtype=TEXT)
    assert item_feature("category").categories(column) == {"a", "b"}
    assert item_feature("category", min_count=2).categories(column) == {"a"}
    lists = pd.Series([["a", "b"], ["b"], []], dtype=object)
    assert item_feature("categories", min_count=2).categories(lists) == {"b"}


def test_whole_numbers_and_truth_values_are_categories_by_their_text():
    feature = item_feature("category")
    assert feature.read(pd.Series([1999, 2001])).tolist() == ["1999", "2001"]
    assert feature.read(pd.Series([True, False])).tolist() == ["True", "False"]


def test_numbers_are_float32_with_nan_where_absent():
    table = pd.DataFrame({"n": pd.array([1, None, -4], "Int64"), "b": pd.array([True, None, False], "boolean")})
    features = [ITEM_FEATURES["number"](type="number", column=name) for name in ("n", "b")]
    read = read_features(table, features)
    assert {column.dtype for column in read.values()} == {np.dtype(np.float32)}
    np.testing.assert_array_equal(read["n"], [1, np.nan, -4])
    np.testing.assert_array_equal(read["b"], [1, np.nan, 0])


def test_text_among_numbers_is_named():
    feature = item_feature("number")
    numbers = [str(n) for n in range(9)]
    assert feature.strays(pd.Series([*numbers, "n/a", None], dtype=TEXT)).tolist() == ["n/a"]
    # Too many for mistakes, none, or no text at all.
    assert feature.strays(pd.Series(["a", "b", "3"], dtype=TEXT)).empty
    assert feature.strays(pd.Series(numbers, dtype=TEXT)).empty
    assert feature.strays(COLUMNS["numbers"]).empty


def test_number_channels():
    value = tf.constant([30.0, 40.0, 1e9, -1e9, np.nan, np.inf])
    out = number_channels(value, np.isnan(value), 30.0, 10.0).numpy()
    z = np.array([0, 1, 4, -4, 0, 4])
    np.testing.assert_allclose(out[:, 0], z)
    np.testing.assert_allclose(out[:, 1], z**2 / 4)
    np.testing.assert_allclose(out[:, 2], np.tanh(3 * z), rtol=1e-5)
    assert out[:, 3].tolist() == [0, 0, 0, 0, 1, 0]
