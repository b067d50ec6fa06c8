"""First occurrences of items, by a table and by binary search, against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.signals.first_occurrences import TABULATED, FirstOccurrences, once, once_of_few
from unified_ranker.towers.tensorflow import tf

ITEMS = 5
ROWS = st.tuples(st.integers(0, 3), st.integers(0, 6)).flatmap(
    lambda shape: st.lists(
        st.lists(st.integers(-1, ITEMS - 1), min_size=shape[1], max_size=shape[1]), min_size=shape[0], max_size=shape[0]
    ).map(lambda rows: np.array(rows, np.int64).reshape(shape))
)
CATALOGUES = pytest.mark.parametrize("catalogue", [ITEMS, TABULATED + 1], ids=["table", "binary search"])


def firsts(row):
    return [n for n, item in enumerate(row) if item >= 0 and item not in row[:n]]


@CATALOGUES
@given(ROWS)
def test_an_item_counts_at_its_first_position(catalogue, rows):
    expected = np.full(rows.shape, -1)
    for row, own in enumerate(rows.tolist()):
        expected[row, firsts(own)] = rows[row, firsts(own)]
    np.testing.assert_array_equal(once(tf.constant(rows), catalogue), expected)
    np.testing.assert_array_equal(once_of_few(tf.constant(rows)), expected)


@CATALOGUES
@given(ROWS)
def test_items_are_found_at_their_first_position_of_their_own_row(catalogue, rows):
    first = FirstOccurrences(tf.constant(rows), catalogue)
    asked = np.tile(np.arange(-1, ITEMS), (len(rows), 1))
    expected = [
        [row * (rows.shape[1] + 1) + own.index(item) if item >= 0 and item in own else -1 for item in range(-1, ITEMS)]
        for row, own in enumerate(rows.tolist())
    ]
    np.testing.assert_array_equal(first.of(tf.constant(asked)), np.array(expected).reshape(asked.shape))
