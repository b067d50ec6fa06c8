"""Names and categories: the unknown adds nothing."""

import numpy as np
import pytest

from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.lookup import NameTable, string_table
from unified_ranker.towers.tensorflow import tf


@pytest.mark.parametrize("names", [["search", "feed"], []])
def test_an_unknown_name_is_the_zero_vector(names):
    layer = NameTable(names, 4, "tasks")
    indices = layer.index(tf.constant([["nonsense", ""], *([["search", "feed"]] if names else [])]))
    assert indices.numpy()[0].tolist() == [0, 0]
    np.testing.assert_array_equal(layer.embed(indices).numpy()[0], np.zeros((2, 4)))
    if names:
        assert indices.numpy()[1].tolist() == [1, 2]
        np.testing.assert_array_equal(layer.embed(indices).numpy()[1], layer.table.numpy()[1:])


def test_an_unknown_name_is_not_trained():
    layer = NameTable(["search"], 4, "tasks")
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(layer.embed(tf.constant([0, 1])))
    gradient = tf.convert_to_tensor(tape.gradient(loss, layer.table)).numpy()
    np.testing.assert_array_equal(gradient, [[0] * 4, [1] * 4])


def test_string_table_numbers_keys_in_order():
    keys = np.array(["b", "a", "ü"], object)
    asked = tf.constant(["a", "b", "ü", "c", ""])
    assert string_table(keys, first=0, default=-1).lookup(asked).numpy().tolist() == [1, 0, 2, -1, -1]
    assert string_table([], first=1, default=0).lookup(asked).numpy().tolist() == [0] * 5


def test_a_value_belongs_to_its_column():
    table = CategoryTable(["colour=red", "country=GB", "taste=red"], 4)
    assert table.index("colour", tf.constant(["red", "GB", "blue"])).numpy().tolist() == [1, 0, 0]
    assert table.index("taste", tf.constant([["red"], [""]])).numpy().tolist() == [[3], [0]]


@pytest.mark.parametrize("values", [["colour=red"], ["colour=", "colour=red"], []])
def test_unknown_and_absent_categories_are_zero(values):
    table = CategoryTable(values, 4)
    indices = table.index("colour", tf.constant(["", "nonsense"]))
    assert indices.numpy().tolist() == [0, 0]
    np.testing.assert_array_equal(table.embed(indices), np.zeros((2, 4)))
