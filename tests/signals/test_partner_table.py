"""Tables of partners, and sums over them: against plain NumPy."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.signals.first_occurrences import TABULATED
from unified_ranker.signals.partner_table import PartnerTable, strongest, sums_of
from unified_ranker.towers.tensorflow import tf

ITEMS = 7
LARGE = TABULATED + 1
CATALOGUES = pytest.mark.parametrize("catalogue", [ITEMS, LARGE], ids=["table of positions", "binary search"])
LAYOUTS = pytest.mark.parametrize("padded", [1 << 20, 0], ids=["padded rows", "pairs one behind the other"])
INDEX = st.integers(-1, ITEMS - 1)
VALUE = st.integers(-8, 8)
ROWS = st.integers(0, 3).flatmap(
    lambda rows: st.tuples(st.just(rows), st.integers(0, 5), st.integers(0, 6)).flatmap(
        lambda shape: st.tuples(
            st.lists(INDEX, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]).map(
                lambda flat: np.array(flat, np.int64).reshape(shape[0], shape[1])
            ),
            st.lists(st.tuples(INDEX, VALUE, VALUE), min_size=shape[0] * shape[2], max_size=shape[0] * shape[2]).map(
                lambda flat: np.array(flat, np.int64).reshape(shape[0], shape[2], 3)
            ),
        )
    )
)


@CATALOGUES
@settings(max_examples=80)
@given(ROWS)
def test_a_candidate_has_the_sum_of_what_its_partners_have(catalogue, drawn):
    candidates, pairs = drawn
    partners, values = pairs[..., 0].astype(np.int32), pairs[..., 1:].astype(np.float32)
    found = sums_of(tf.constant(candidates), tf.constant(partners), tf.constant(values), catalogue).numpy()
    expected = np.zeros((*candidates.shape, 2), np.float32)
    for row, column in np.ndindex(candidates.shape):
        if candidates[row, column] >= 0:
            expected[row, column] = values[row][partners[row] == candidates[row, column]].sum(0)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@CATALOGUES
@LAYOUTS
@settings(max_examples=40)
@given(st.lists(st.lists(INDEX, min_size=3, max_size=3), max_size=3), st.integers(0, 3))
def test_weights_of_origins_count_as_products_would(catalogue, padded, origins, asked):
    # Items beyond the first few have no partners.
    starts = np.array([0, 2, 2, 5, 6, *[6] * (catalogue - 2)])
    table = PartnerTable(starts, np.array([2, 1, 0, 1, 2, 5]), np.arange(1.0, 7)[:, None], padded)
    origins = np.array(origins, np.int64).reshape(-1, 3)
    candidates = np.tile(np.array([[1, -1, 2, 5, 1, 0]])[:, : 2 * asked], (len(origins), 1))
    weights = np.random.default_rng(1).random((*origins.shape, 2)).astype(np.float32)
    found = table.weighted_sums(*map(tf.constant, (candidates, origins, weights)))
    partners, values = table.of(tf.constant(origins), table.widest)
    flat = [len(origins), 3 * partners.shape[2]]
    products = (values.numpy() * weights[:, :, None]).reshape([*flat, 2])
    expected = sums_of(tf.constant(candidates), tf.reshape(partners, flat), tf.constant(products), catalogue)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@CATALOGUES
@settings(max_examples=80)
@given(ROWS, st.integers(0, 9))
def test_the_strongest_have_the_highest_positive_sums(catalogue, drawn, count):
    _, pairs = drawn
    partners, values = pairs[..., 0], pairs[..., 1].astype(np.float32)
    found = strongest(tf.constant(partners, tf.int32), tf.constant(values), catalogue, count).numpy()
    assert found.shape == (len(pairs), count)
    for row in range(len(pairs)):
        sums = np.array([values[row][partners[row] == item].sum() for item in range(ITEMS)])
        right = np.sort(sums[sums > 0])[::-1][:count]
        own = found[row][found[row] >= 0]
        assert len(own) == len(set(own.tolist())) == len(right)
        assert (found[row][len(own) :] == -1).all()
        np.testing.assert_allclose(sums[own], right, atol=1e-5)


@LAYOUTS
def test_a_row_of_the_table_is_read_as_far_as_asked(padded):
    starts = np.array([0, 2, 2, 5, 5])
    table = PartnerTable(starts, np.array([2, 1, 0, 1, 2]), np.arange(10, dtype=float).reshape(5, 2), padded)
    assert table.widest == 3
    partners, values = table.of(tf.constant([[0, 2, -1], [1, -1, -1]], tf.int64), 2)
    np.testing.assert_array_equal(partners, [[[2, 1], [0, 1], [-1, -1]], [[-1, -1]] * 3])
    assert len(table.variables) == (2 if padded else 3)
    np.testing.assert_array_equal(values[0], [[[0, 1], [2, 3]], [[4, 5], [6, 7]], [[0, 0], [0, 0]]])
    assert not values[1].numpy().any()
    everything, _ = table.of(tf.constant([[2]], tf.int64), 9)
    np.testing.assert_array_equal(everything, [[[0, 1, 2]]])


@LAYOUTS
def test_a_table_of_nothing_has_no_partners(padded):
    table = PartnerTable(np.zeros(4, int), np.zeros(0, int), np.zeros((0, 1)), padded)
    partners, _ = table.of(tf.constant([[0, 1]], tf.int64), 5)
    assert (partners.numpy() == -1).all()
