"""The candidate rule against plain Python, one item and one request at a time."""

import numpy as np
from candidate_oracle import may_answer, refusal
from candidate_pairs import CATALOGUES, DECLARED, ITEMS, REQUESTS, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.candidate_rule import Pairs, Reason, allowed, existed_before, first_reasons
from unified_ranker.core.times import NEVER


@given(CATALOGUES, st.lists(REQUESTS, min_size=1, max_size=3), DECLARED)
def test_the_rule_is_what_it_is_item_by_item(catalogue, requests, declared):
    pairs = pairs_of(catalogue, requests, declared)
    mask, reasons = allowed(pairs), first_reasons(pairs)
    for row, request in enumerate(requests):
        expected = [refusal(item, request, declared) for item in catalogue]
        assert reasons[row].tolist() == expected
        assert {ITEMS[n] for n in np.flatnonzero(mask[row])} == may_answer(catalogue, request, declared)


def test_an_item_that_the_catalogue_lacks_is_none_whatever_else_is_said_of_it():
    nothing = np.array([-1])
    yes, no = np.array([True]), np.array([False])
    pairs = Pairs(nothing, nothing, np.array([5]), nothing, nothing, engaged=yes, offered=no, available=no)
    assert first_reasons(pairs).tolist() == [Reason.UNKNOWN]
    assert not allowed(pairs).any()


@given(st.lists(st.just(NEVER) | st.integers(-3, 3), max_size=5), st.integers(-3, 3))
def test_an_item_of_the_last_second_before_the_end_existed_and_one_of_the_end_did_not(created_at, end):
    found = existed_before(np.array(created_at, np.int64), end)
    assert found.tolist() == [created < end for created in created_at]
