"""The candidate rule against plain Python, one item and one request at a time."""

import numpy as np
import pandas as pd
import pytest
from candidate_oracle import may_answer, refusal
from candidate_pairs import CATALOGUES, COUNTRIES, DECLARED, ITEMS, REQUESTS, pairs_of
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.candidate_rule import Pairs, Reason, allowed, first_reasons
from unified_ranker.core.offers import Offers, offers_of


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


@given(CATALOGUES, st.lists(st.booleans(), min_size=4, max_size=4), CATALOGUES)
def test_offers_of_a_part_and_of_more_items_are_those_of_the_items(first, kept, later):
    def offers(items):
        return Offers.of([i.available for i in items], [i.countries for i in items])

    mask = np.array(kept, bool)
    joined = offers(first).take(mask).followed_by(offers(later))
    expected = [*(item for item, keep in zip(first, kept, strict=True) if keep), *later]
    assert len(joined) == len(expected)
    for country in ("", *COUNTRIES, "US"):
        may = [(not country or not i.countries or country in i.countries) for i in expected]
        assert joined.offered(country).tolist() == may
        withheld = sum(not (m and i.available) for m, i in zip(may, expected, strict=True))
        assert joined.withheld(country) == withheld


@pytest.mark.parametrize("available", [[True, None, False], [True, np.nan, False]])
def test_a_table_offers_what_its_columns_say(available):
    table = pd.DataFrame({"countries": ["DE|FR", None, ["JP"]], "available": available})
    offers = offers_of(table)
    assert offers.countries == ("DE", "FR", "JP")
    assert offers.available.tolist() == [True, True, False]
    assert offers.offered("FR").tolist() == [True, True, False]
    assert offers.offered("").all()
    assert offers.withheld("US") == 2
    everywhere = offers_of(table[[]])
    assert everywhere.withheld("US") == 0
