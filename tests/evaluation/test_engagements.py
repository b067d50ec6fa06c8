"""Engagements against plain Python: what each user engaged with strictly before a moment."""

from dataclasses import fields

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.engagements import Engagements, counts, ones
from unified_ranker.prepare.examples import Examples

USERS, ITEMS = 3, 4
LOGS = st.lists(st.tuples(st.integers(MISSING, USERS - 1), st.integers(MISSING, ITEMS - 1), st.integers(0, 9)))
ASKED = st.lists(st.tuples(st.integers(MISSING, USERS - 1), st.integers(-1, 11)), max_size=4)


@pytest.fixture(scope="module")
def examples_of(toy_prepared):
    """Return a function that makes examples of (user, item, seconds)."""
    blank = toy_prepared.examples.take(np.zeros(0, np.int64))

    def make(rows):
        user, item, time = (np.array([row[n] for row in rows], np.int64) for n in range(3))
        rest = {f.name: np.zeros(len(rows), getattr(blank, f.name).dtype) for f in fields(Examples)}
        return Examples(**rest | {"user": user, "item": item, "timestamp": time})

    return make


def before(log, user, moment):
    return sorted({item for who, item, time in log if who == user != MISSING and item != MISSING and time < moment})


@given(log=LOGS, asked=ASKED)
def test_events_are_the_users_positives_strictly_before_in_order_of_time(examples_of, log, asked):
    engagements = Engagements(examples_of(log), USERS, ITEMS)
    for user, moment in asked:
        items, times = engagements.before(user, moment)
        found = list(zip(times.tolist(), items.tolist(), strict=True))
        expected = [(t, i) for who, i, t in log if who == user != MISSING and i != MISSING and t < moment]
        assert sorted(found) == sorted(expected)
        assert times.tolist() == sorted(times)


@given(log=LOGS, asked=ASKED)
def test_a_past_is_the_items_of_the_users_positives_strictly_before(examples_of, log, asked):
    engagements = Engagements(examples_of(log), USERS, ITEMS)
    expected = [before(log, *one) for one in asked]
    user, moment = (np.array([one[n] for one in asked], np.int64) for n in range(2))
    rows, items = engagements.pairs(user, moment)
    assert [items[rows == row].tolist() for row in range(len(asked))] == expected
    user, moment = (np.array([one[n] for one in asked], np.int64) for n in range(2))
    rows, items = engagements.pairs(user, moment)
    assert list(zip(rows.tolist(), items.tolist(), strict=True)) == [
        (row, item) for row, past in enumerate(expected) for item in past
    ]
    assert items.dtype == np.int64
    matrix = engagements.matrix(examples_of([(who, 0, when) for who, when in asked]))
    assert matrix.toarray().tolist() == [[float(n in past) for n in range(ITEMS)] for past in expected]


def test_repeated_places_are_one_or_are_counted():
    rows, columns = np.array([0, 1, 1, 1]), np.array([2, 0, 0, 1])
    assert counts(rows, columns, (2, 3)).toarray().tolist() == [[0, 0, 1], [2, 1, 0]]
    marked = ones(rows, columns, (2, 3))
    assert marked.toarray().tolist() == [[0, 0, 1], [1, 1, 0]]
    assert marked.nnz == 3
    assert marked.dtype == counts(rows, columns, (2, 3)).dtype == np.float32


def test_every_request_has_a_moment(examples_of):
    with pytest.raises(ValueError, match="shorter"):
        Engagements(examples_of([(0, 0, 0)]), USERS, ITEMS).pairs(np.array([0, 1]), np.array([5]))
