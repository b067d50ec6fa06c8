"""Pairs of items, as of any moment and as tables."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from unified_ranker.prepare.examples import Histories
from unified_ranker.signals.pair_counts import PairsAsOf, pair_table, pairs_from_histories

ITEMS = 5
SOME = npst.arrays(np.int64, st.integers(0, 40), elements=st.integers(-1, ITEMS - 1))


@st.composite
def logs(draw):
    first = draw(SOME)
    size = len(first)
    second = draw(npst.arrays(np.int64, size, elements=st.integers(-1, ITEMS - 1)))
    return first, second, draw(npst.arrays(np.int64, size, elements=st.integers(0, 9)))


def counted(log, first, second, time):
    pairs = zip(*(column.tolist() for column in log), strict=True)
    return sum((a, b) == (first, second) and t < time and a >= 0 and b >= 0 and a != b for a, b, t in pairs)


@given(logs(), st.integers(0, 10))
def test_counts_are_those_strictly_before(log, time):
    pairs = PairsAsOf(*log, ITEMS)
    first, second = (grid.reshape(-1) for grid in np.meshgrid(np.arange(-1, ITEMS), np.arange(-1, ITEMS)))
    found = pairs.count(first, second, np.full(len(first), time))
    expected = [counted(log, a, b, time) for a, b in zip(first.tolist(), second.tolist(), strict=True)]
    np.testing.assert_array_equal(found, expected)
    totals = pairs.total(np.arange(-1, ITEMS), np.full(ITEMS + 1, time))
    sums = [sum(counted(log, a, b, time) for b in range(ITEMS)) for a in range(-1, ITEMS)]
    np.testing.assert_array_equal(totals, sums)


@given(logs(), st.integers(0, 9))
def test_later_pairs_change_nothing_before(log, time):
    whole, kept = PairsAsOf(*log, ITEMS), PairsAsOf(*(column[log[2] < time] for column in log), ITEMS)
    first, second = (grid.reshape(-1) for grid in np.meshgrid(np.arange(ITEMS), np.arange(ITEMS)))
    when = np.full(len(first), time)
    np.testing.assert_array_equal(whole.count(first, second, when), kept.count(first, second, when))


@given(logs(), st.integers(0, 10), st.integers(1, ITEMS))
def test_a_table_holds_the_strongest_partners_of_either_direction(log, time, neighbours):
    pairs = PairsAsOf(*log, ITEMS)
    table = pair_table(pairs, time, neighbours)
    for item in range(ITEMS):
        strength = {b: counted(log, item, b, time) + 0.25 * counted(log, b, item, time) for b in range(ITEMS)}
        known = {b: s for b, s in strength.items() if s > 0}
        places = range(int(table.starts[item]), int(table.starts[item + 1]))
        row = [int(table.partners[place]) for place in places]
        assert [known[b] for b in row] == sorted(known.values(), reverse=True)[:neighbours]
        for place, partner in zip(places, row, strict=True):
            assert table.forward[place] == counted(log, item, partner, time)
            assert table.backward[place] == counted(log, partner, item, time)
    assert table.starts[-2:].tolist() == [len(table.partners)] * 2
    np.testing.assert_array_equal(table.total[:-1], pairs.total(np.arange(ITEMS), np.full(ITEMS, time)))
    assert table.total[-1] == 0


def test_successions_stay_with_their_user_and_within_the_window():
    item, time = np.array([0, 1, 2, 3, 4, 0]), np.array([10, 20, 30, 40, 1, 2])
    text = np.array(["x"] * 6, object)
    histories = Histories(np.array([0, 4, 4, 6]), item, text, text, time, np.zeros(6, np.float32))
    pairs = pairs_from_histories(histories, 2, ITEMS)
    found = {divmod(int(key), ITEMS) for key in pairs.keys}
    assert found == {(0, 1), (0, 2), (1, 2), (1, 3), (2, 3), (4, 0)}
    at = np.array([20, 21])
    # Known from the moment of the later event on.
    np.testing.assert_array_equal(pairs.count(np.array([0, 0]), np.array([1, 1]), at), [0, 1])
