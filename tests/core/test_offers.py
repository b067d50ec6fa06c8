"""Offers against plain Python: where items may be shown."""

import numpy as np
import pandas as pd
import pytest
from candidate_pairs import CATALOGUES, COUNTRIES
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.offers import Offers, countries_of, offers_of


@given(CATALOGUES, st.lists(st.booleans(), min_size=4, max_size=4), CATALOGUES)
def test_offers_of_a_part_and_of_more_items_are_those_of_the_items(first, kept, later):
    def offers(items):
        return Offers.of([i.available for i in items], [i.countries for i in items])

    mask = np.array(kept, bool)
    parts = offers(first).take(mask), offers(later), offers(first)
    joined = parts[0].followed_by(parts[1]).followed_by(parts[2])
    expected = [*(item for item, keep in zip(first, kept, strict=True) if keep), *later, *first]
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


def test_what_is_counted_for_one_country_does_not_count_for_another():
    """Whichever is asked for first; all countries that no item names are one."""
    for asked in (("", "US", "DE"), ("US", "", "DE"), ("DE", "JP", "US", "")):
        offers = Offers.of([True, False, True], [["DE"], [], ["DE", "FR"]])
        expected = {"": 1, "US": 3, "JP": 3, "DE": 1}
        assert [offers.withheld(country) for country in asked] == [expected[country] for country in asked]


def test_countries_that_no_item_names_share_what_was_worked_out():
    """A service that is asked for any number of them keeps one answer."""
    offers = Offers.of([1, 0], [["DE"], []])
    assert offers.available.dtype == bool
    assert offers.offered("A1") is offers.offered("A2")
    assert offers.offered("A1") is not offers.offered("")


def test_items_that_name_nothing_are_offered_everywhere():
    offers = Offers.everywhere(3)
    assert len(offers) == 3
    assert offers.available.dtype == bool
    assert offers.offered("DE").tolist() == [True] * 3
    assert offers.withheld("DE") == 0


@pytest.mark.parametrize(
    ("cell", "countries"),
    [
        ("DE| FR |", ["DE", "FR"]),
        ("", []),
        (None, []),
        (np.nan, []),
        (["DE", "FR"], ["DE", "FR"]),
        (("DE",), ["DE"]),
        (np.array(["DE"], object), ["DE"]),
    ],
)
def test_a_cell_names_countries_as_a_list_or_as_text(cell, countries):
    assert countries_of(cell) == countries


def test_a_table_without_flags_has_flags_all_the_same():
    for table in (pd.DataFrame({"countries": [None, "DE"]}), pd.DataFrame({"available": [None, True]}, dtype=object)):
        assert offers_of(table).available.dtype == bool
        assert offers_of(table).available.all()
