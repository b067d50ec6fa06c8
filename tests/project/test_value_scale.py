"""Scales of values: which of them say yes, by tables of cases and over drawn logs."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.project.value_scale import ROUNDING, ValueColumn, value_scale, values_that_say_no

QUANTITY = [1] * 90 + [2] * 8 + [5] * 2


def column(values):
    return pd.Series(values, dtype="float32")


@pytest.mark.parametrize(
    ("values", "kind", "least"),
    [
        # ratings: whole or half steps, with or without a number for "not rated"
        ([1, 2, 3, 4, 5], "rating", 4),
        ([0.5, 3.5, 4.5], "rating", 4),
        ([3, 4], "rating", 4),
        ([1, 2, 6, 7], "rating", 6),
        ([1, 4, 8, 10], "rating", 8),
        ([1.5, 4, 8.5, 9.5], "rating", 8),
        ([1, 11, 16, 20], "rating", 16),
        ([10, 35, 80, 95, 100], "rating", 80),
        ([0.2, 0.4, 0.8, 1.0], "rating", 0.8),
        ([-1, 0, 4, 5, 2], "rating", 4),
        # with placeholders, and slips of the pen
        ([20, 60, 80, 100, 100, 255], "rating", 80),
        ([1, 2, 3, 4, 5, 9], "rating", 4),
        ([1, 2, 4, 5, -99, 99, 999], "rating", 4),
        ([1, 2, 3, 4, 5] * 40 + [50], "rating", 4),
        ([0, 1, 1, 99], "vote", 1),
        ([-9.9, -1.2, 3.4, 9.3, 99, 99], "amount", None),
        # shares of what was consumed
        ([n / 37 for n in range(1, 38)], "share", 0.5),
        ([0, -1, *(n / 37 for n in range(1, 38))], "share", 0.5),
        ([0, 4, 5], "rating", 4),
        ([0] * 62 + [5, 7, 8, 10] * 10, "rating", 8),
        ([-1, -1, 6, 8, 10], "rating", 8),
        # votes
        ([0, 0, 0, 1], "vote", 1),
        ([-1, 1, 1], "vote", 1),
        ([-1, 0, 1], "vote", 1),
        # amounts with returns, logarithms, scales around 0
        ([12, 1, 1, -12, 3, 0], "amount", None),
        ([0.7, 2.3, 0], "amount", None),
        ([0.7, 2.3, 4e-16], "amount", None),
        ([-9.8, 3.25, 7.1], "amount", None),
        ([0, 0, 0], "zero", None),
        # amounts, all above 0, and what is no scale
        (QUANTITY, None, None),
        ([1, 2, 3], None, None),
        ([5, 5, 5], None, None),
        ([1, 1, 1], None, None),
        ([1.2, 4.4, 5.0], None, None),
        ([19.99, 45, 85, 99.5], None, None),
        ([20, 85, 90, 95], None, None),
        ([0.01 * n * n / 37 for n in range(1, 10)] * 9 + [0.97], None, None),
        ([1, 3, 12, 24, 7, 150], None, None),
        ([4, None, None, None], None, None),
        ([-1, -2], None, None),
        ([None, None], None, None),
        ([], None, None),
    ],
)
def test_the_least_value_that_says_yes(values, kind, least):
    scale = value_scale(column(values))
    assert (scale and scale.kind, scale and scale.least) == (kind, least)


def test_the_evidence_is_counted():
    scale = value_scale(column([0, 0, 2, 4, 5]))
    assert (scale.share, scale.lowest, scale.refusing, scale.top, scale.unrated) == (0.4, 0, 0.4, 5, True)
    assert not value_scale(column([1, 4])).unrated


@pytest.mark.parametrize(
    ("values", "strays"),
    [
        ([20, 60, 80, 100, 100, 255], (255,)),
        ([1, 2, 4, 5, -99, 99, 999], (-99, 99, 999)),
        ([1, 2, 3, 4, 5] * 40 + [50], (50,)),
        ([-9.9, -1.2, 3.4, 9.3, 99, 99], (99,)),
        # returns, votes and a great amount are values
        ([3, 1, 12, -1, 150], ()),
        ([-1, 0, 1, 1], ()),
        ([1, 4, 5], ()),
        ([0, 0, 1] * 40 + [2], ()),
    ],
)
def test_numbers_far_from_a_scale_are_no_values(values, strays):
    assert value_scale(column(values)).strays == strays


NAMED = {
    "watch_ratio": ([0.1, 0.7, 1.2, 5.9], 0.5),
    "percent_watched": ([3, 55, 80, 100], 50),
    "Progress": ([0, 0.2, 0.9], 0.5),
    "conversion_ratio": ([0.1, 0.7, 1.2, 5.9], None),
    "watch_time": ([0.1, 0.7, 1.2, 5.9], None),
    "depth": ([0.1, 0.7, 1.2, 5.9], None),
}


@pytest.mark.parametrize(("name", "values", "least"), [(name, *of) for name, of in NAMED.items()])
def test_a_name_says_that_numbers_are_shares_of_what_was_consumed(name, values, least):
    scale = value_scale(column(values), ValueColumn(name))
    assert (scale and scale.least) == least


@given(st.lists(st.one_of(st.integers(-3, 12), st.floats(-5, 120, width=32)), min_size=1, max_size=30))
def test_no_value_of_0_or_below_says_yes_unless_there_is_nothing_else(values):
    given_values = column(values)
    scale = value_scale(given_values)
    if scale is None:
        assert (given_values > 0).all() or (given_values <= 0).all()
        return
    if scale.kind == "zero":
        return
    yes = given_values[given_values > scale.above if scale.least is None else given_values >= np.float32(scale.least)]
    yes = yes[~yes.isin(scale.strays)]
    assert len(yes)
    assert (yes > 0).all()
    # Of an amount or a vote, every value above 0 says yes, but for what rounding left of a 0.
    if scale.kind in ("amount", "vote"):
        real = given_values[~given_values.isin(scale.strays)]
        assert len(yes) == (real > ROUNDING * given_values.abs().median()).sum()


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([1, 2, 3, 4], "ratings up to 5, of which 75% are below 4"),
        ([3, -2, None, None], "1 of 4 values are 0 or below, from -2"),
        ([0, 1], "1 of 2 values are 0 or below, from 0"),
        ([0, 0], ""),
        (QUANTITY, ""),
        ([None], ""),
    ],
)
def test_values_that_say_no_are_described(values, said):
    assert said in values_that_say_no(column(values))
    assert bool(said) == bool(values_that_say_no(column(values)))
