"""The candidate rule against plain Python, one item and one request at a time."""

import numpy as np
from candidate_oracle import may_answer, refusal
from candidate_pairs import CATALOGUES, DECLARED, ITEMS, REQUESTS, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.candidate_rule import Pairs, Reason, allowed, first_reasons


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
