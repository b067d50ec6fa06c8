"""Proposals of several sources as one list: in turns, each item once, so many as the task takes."""

from itertools import zip_longest

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.signals.first_occurrences import TABULATED
from unified_ranker.signals.proposals import merged
from unified_ranker.towers.tensorflow import tf

ROWS = 3


def by_hand(parts, most):
    out = []
    for row in range(len(most)):
        turns = [n for turn in zip_longest(*(part[row] for part in parts), fillvalue=-1) for n in turn if n >= 0]
        kept = list(dict.fromkeys(turns))[: most[row]]
        out.append(kept + [-1] * (len(parts) * max(part.shape[1] for part in parts) - len(kept)))
    return np.array(out)


def merge(parts, most, catalogue=9):
    return merged([tf.constant(part, tf.int64) for part in parts], tf.constant(most), catalogue).numpy()


def test_all_firsts_come_before_all_seconds():
    parts = [np.array([[1, 2, 3]]), np.array([[4, -1]]), np.array([[5, 6]])]
    assert merge(parts, [9])[0].tolist() == [1, 4, 5, 2, 6, 3, -1, -1, -1]


def test_an_item_has_one_place_the_first_it_was_given():
    parts = [np.array([[7, 3, 7]]), np.array([[3, 7, 8]])]
    assert merge(parts, [9])[0].tolist() == [7, 3, 8, -1, -1, -1]


def test_a_request_takes_as_many_as_its_task():
    parts = [np.array([[1, 2], [1, 2]]), np.array([[3, 4], [3, 4]])]
    assert merge(parts, [3, 0]).tolist() == [[1, 3, 2, -1], [-1] * 4]


def test_sources_of_nothing_give_nothing():
    assert merge([np.zeros((2, 0))], [3, 3]).shape == (2, 0)
    assert merged([], tf.constant([3, 3]), 9).shape == (2, 0)
    assert merge([np.zeros((0, 2))], np.zeros(0, np.int32)).shape == (0, 2)


def test_items_that_came_later_are_merged_whatever_their_number():
    late = 2**31 - 2
    found = merge([[[late, 2, 12]], [[12, late, 1]]], [9], catalogue=3)
    np.testing.assert_array_equal(found, [[late, 12, 2, 1, -1, -1]])


PARTS = (
    st.lists(st.integers(0, 4), min_size=1, max_size=4)
    .filter(any)
    .flatmap(
        lambda widths: st.tuples(
            *(
                st.lists(st.integers(-1, 6), min_size=ROWS * width, max_size=ROWS * width).map(
                    lambda flat, width=width: np.array(flat, np.int64).reshape(ROWS, width)
                )
                for width in widths
            )
        )
    )
)


@pytest.mark.parametrize("catalogue", [7, 3, TABULATED + 1], ids=["table", "table, some came later", "binary search"])
@settings(max_examples=60)
@given(PARTS, st.lists(st.integers(0, 9), min_size=ROWS, max_size=ROWS))
def test_any_sources_are_merged_as_by_hand(catalogue, parts, most):
    np.testing.assert_array_equal(merge(parts, most, catalogue), by_hand(parts, most))
