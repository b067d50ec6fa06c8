"""Positives: which events of a log count, against plain Python, wherever the rule is applied."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from any_event import COUNTED
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.positives import first_engagements, first_match, head_numbers, matches, matches_any

TYPES = st.sampled_from(["click", "rating", "buy"])
VALUES = st.one_of(st.just(np.nan), st.sampled_from([-1.0, 0.0, 3.5, 4.0, 5.0]))
EVENTS = st.lists(st.tuples(TYPES, VALUES), min_size=1, max_size=8)
KINDS = st.lists(COUNTED, min_size=1, max_size=3)


def by_hand(event_type, value, kind):
    if event_type != kind.event_type:
        return False
    if kind.unrated and (np.isnan(value) or value == 0):
        return True
    if kind.min_value is not None:
        return bool(value >= kind.min_value)
    return kind.above is None or bool(value > kind.above)


FORMS = {
    "numpy": (lambda types: np.array(types, object), lambda values: np.array(values, np.float32)),
    "pandas": (pd.Series, lambda values: pd.Series(values, dtype="float32")),
}


@pytest.mark.parametrize("form", FORMS)
@given(EVENTS, KINDS)
def test_an_event_counts_when_any_kind_matches_it(form, events, kinds):
    names, numbers = FORMS[form]
    types, values = zip(*events, strict=True)
    found = np.asarray(matches_any(names(list(types)), numbers(list(values)), kinds))
    assert found.tolist() == [any(by_hand(*event, kind) for kind in kinds) for event in events]


@given(EVENTS, KINDS)
def test_names_may_be_numbers(events, kinds):
    types, values = zip(*events, strict=True)
    codes, known = pd.factorize(np.array(types, object))
    numbers = {name: code for code, name in enumerate(known)}
    for kind in kinds:
        found = matches(codes, np.array(values), kind, numbers.get(kind.event_type, -1))
        assert found.tolist() == [by_hand(*event, kind) for event in events]


@pytest.mark.parametrize("form", FORMS)
@given(EVENTS, KINDS)
def test_an_event_counts_once_as_the_first_kind_that_matches_it(form, events, kinds):
    names, numbers = FORMS[form]
    types, values = zip(*events, strict=True)
    expected = [next((n for n, kind in enumerate(kinds) if by_hand(*event, kind)), -1) for event in events]
    assert first_match(names(list(types)), numbers(list(values)), kinds).tolist() == expected
    codes, known = pd.factorize(np.array(types, object))
    assert first_match(codes, np.array(values), kinds, {n: i for i, n in enumerate(known)}).tolist() == expected


@given(st.lists(st.tuples(st.integers(-1, 2), st.sampled_from("ab"), st.integers(0, 2)), max_size=12), st.booleans())
def test_a_users_first_engagement_with_an_item_is_marked_by_head_or_over_all_and_all_anonymous_ones(positives, by_head):
    user, item, head = (list(column) for column in zip(*positives, strict=True)) if positives else ([], [], [])
    keys = [positive if by_head else positive[:2] for positive in positives]
    expected = [key[0] == -1 or key not in keys[:at] for at, key in enumerate(keys)]
    of_head = np.array(head, np.int64) if by_head else None
    assert first_engagements(np.array(user, np.int64), np.array(item, object), of_head).tolist() == expected


def test_engagements_of_the_first_second_are_all_first():
    user, item, time = (
        np.array([0, 0, 0, 0, 1, -1, -1]),
        np.array(list("aaabaaa"), object),
        np.array([3, 3, 4, 9, 5, 5, 6]),
    )
    assert first_engagements(user, item, None, time).tolist() == [True, True, False, True, True, True, True]


def test_kinds_of_one_head_have_one_number():
    kinds = [SimpleNamespace(head_name=name) for name in ("like", "buy", "like")]
    first, second, third = head_numbers(kinds)
    assert first == third != second
