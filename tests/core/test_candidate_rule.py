"""The candidate rule on arrays and on tensors, against plain Python one item and one request at a time."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from candidate_oracle import Shown, may_answer, refusal
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.config import Positive, Task
from unified_ranker.core.candidate_rule import Pairs, Reason, allowed, excluded_events, first_reasons, refusals
from unified_ranker.core.offers import Offers, offers_of
from unified_ranker.core.request import History, Request
from unified_ranker.core.times import NEVER
from unified_ranker.towers.tensorflow import tf

ITEMS = ("a", "b", "c", "d")
COUNTRIES = ("DE", "FR", "JP")
TASK = "feed"
TIMES = st.integers(1, 9)
IDS = st.sampled_from([*ITEMS, "", "elsewhere"])
CATALOGUES = st.tuples(
    *(
        st.builds(
            Shown,
            st.just(name),
            st.one_of(st.none(), st.integers(-3, 12)),
            st.lists(st.sampled_from(COUNTRIES), max_size=2, unique=True).map(tuple),
            st.booleans(),
        )
        for name in ITEMS
    )
)
EVENTS = st.lists(
    st.fixed_dictionaries(
        {
            "item_id": st.sampled_from([*ITEMS, "elsewhere"]),
            "event_type": st.sampled_from(["like", "rating"]),
            "task": st.sampled_from([TASK, "search"]),
            "timestamp": TIMES,
            "value": st.sampled_from([0.0, 3.0, 4.0]),
        }
    ),
    max_size=6,
)
REQUESTS = st.builds(
    lambda source, query_item, country, time, events: Request(
        "u",
        TASK,
        source_item_id=source,
        query_item_id=query_item,
        country=country,
        timestamp=time,
        history=History.of(events),
    ),
    IDS,
    IDS,
    st.sampled_from(["", "DE", "FR", "US"]),
    TIMES,
    EVENTS,
)
DECLARED = st.builds(
    lambda exclude, kinds: Task(positives=tuple(kinds), exclude_engaged=exclude),
    st.booleans(),
    st.lists(
        st.sampled_from([Positive(event_type="like"), Positive(event_type="rating", min_value=4, head="loved")]),
        min_size=1,
        max_size=2,
        unique=True,
    ),
)


def pairs_of(catalogue, requests, declared):
    """The pairs of all requests and items, as NumPy columns."""
    place = {item.item_id: number for number, item in enumerate(catalogue)}
    offers = Offers.of([i.available for i in catalogue], [i.countries for i in catalogue])
    engaged = np.zeros((len(requests), len(catalogue)), bool)
    for row, request in enumerate(requests):
        marked = excluded_events(request.history, request.timestamp, TASK, declared)
        engaged[row, [place[i] for i in request.history.item_id[marked] if i in place]] = True
    return Pairs(
        item=np.arange(len(catalogue))[None],
        created_at=np.array([NEVER if i.created_at is None else i.created_at for i in catalogue])[None],
        moment=np.array([r.timestamp for r in requests])[:, None],
        source_item=np.array([place.get(r.source_item_id, -1) for r in requests])[:, None],
        query_item=np.array([place.get(r.query_item_id, -1) for r in requests])[:, None],
        engaged=engaged,
        offered=np.stack([offers.offered(r.country) for r in requests]),
        available=offers.available[None],
    )


@given(CATALOGUES, st.lists(REQUESTS, min_size=1, max_size=3), DECLARED)
def test_the_rule_is_what_it_is_item_by_item(catalogue, requests, declared):
    pairs = pairs_of(catalogue, requests, declared)
    mask, reasons = allowed(pairs), first_reasons(pairs)
    for row, request in enumerate(requests):
        expected = [refusal(item, request, declared) for item in catalogue]
        assert reasons[row].tolist() == expected
        assert {ITEMS[n] for n in np.flatnonzero(mask[row])} == may_answer(catalogue, request, declared)


@given(CATALOGUES, st.lists(REQUESTS, min_size=1, max_size=3), DECLARED)
def test_tensors_give_what_arrays_give(catalogue, requests, declared):
    pairs = pairs_of(catalogue, requests, declared)
    tensors = Pairs(**{name: tf.constant(column) for name, column in vars(pairs).items()})
    np.testing.assert_array_equal(allowed(tensors), allowed(pairs))
    for reason, refused in refusals(tensors).items():
        np.testing.assert_array_equal(refused, refusals(pairs)[reason], err_msg=reason)


@given(EVENTS, TIMES, DECLARED)
def test_tensors_of_histories_exclude_what_arrays_exclude(events, moment, declared):
    history = History.of(events)
    tensors = replace(
        history, **{n: tf.constant(c, tf.string if c.dtype == object else None) for n, c in vars(history).items()}
    )
    np.testing.assert_array_equal(
        excluded_events(tensors, moment, TASK, declared), excluded_events(history, moment, TASK, declared)
    )


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
