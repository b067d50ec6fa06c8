"""Who may answer a request, against the rule spelled out item by item."""

import numpy as np
import pytest
from evaluation_toy import HOUR, START, ask, at, by_id, event, item, task, world
from hypothesis import given, settings
from hypothesis import strategies as st

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.errors import UserError
from unified_ranker.evaluation.candidates import REASONS, CandidateRules

TASKS = {"home_feed": task(exclude_engaged=True), "search": task()}
ITEMS = [item("a"), item("b", created=0), item("c", created=5), item("d", created=9)]
HOURS = st.integers(0, 10)


@st.composite
def logs(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["u", "v", None]),
                st.sampled_from("abcd"),
                HOURS,
                st.sampled_from(["home_feed", "search"]),
                st.sampled_from([None, *"abcd"]),
                st.sampled_from([None, *"abcd"]),
            ),
            max_size=12,
        )
    )
    events = [
        event(user, name, hour, task, source_item_id=source, query_item_id=query_item)
        for user, name, hour, task, source, query_item in rows
    ]
    both = [
        event("w", "a", 1, "home_feed", source_item_id=None, query_item_id=None),
        event("w", "a", 1, "search"),
    ]
    return events + both


@settings(deadline=None, max_examples=40)
@given(logs())
def test_mask_equals_the_rule_item_by_item(events):
    prepared, config = world(events, ITEMS, TASKS)
    requests = prepared.examples
    rules = CandidateRules(prepared, config)
    mask = rules.allowed(requests)
    reasons = rules.unreachable(requests)
    created = {"a": -np.inf, "b": START, "c": START + 5 * HOUR, "d": START + 9 * HOUR}
    for row in range(len(requests)):
        moment, user, surface = requests.timestamp[row], requests.user[row], requests.task[row]
        before = {
            int(requests.item[other])
            for other in range(len(requests))
            if requests.user[other] == user != MISSING
            and requests.task[other] == surface == "home_feed"
            and requests.timestamp[other] < moment
        }
        for index, name in enumerate(prepared.item_ids):
            banned = index in {requests.source_item[row], requests.query_item[row]} | before
            assert mask[row, index] == (created[name] <= moment and not banned)
        assert set(rules.engaged(int(user), surface, int(moment))) == before
        assert (reasons[row] == "") == mask[row, requests.item[row]]
        assert reasons[row] in {"", *REASONS}


def test_each_reason_has_its_name():
    events = [event("u", "a", 1), event("u", "a", 2, "search")]
    prepared, config = world(events, ITEMS, TASKS)
    rules = CandidateRules(prepared, config)

    def reason(**fields):
        return rules.unreachable(ask(prepared, **fields)).item()

    assert reason(hour=2, item="b") == ""
    assert reason(hour=2) == "unknown item"
    assert reason(hour=2, item="c") == "created after the request"
    assert reason(hour=2, item="b", source="b") == "is the source item"
    assert reason(hour=2, item="b", query_item="b") == "is the query item"
    assert reason(hour=2, item="a", user="u") == "already engaged with"


def test_engaged_is_strictly_before_of_that_user_and_task():
    events = [event("u", "a", 1), event("u", "b", 2), event("v", "c", 6), event("u", "a", 1, "search")]
    prepared, config = world(events, ITEMS, TASKS)
    rules = CandidateRules(prepared, config)
    place = {name: i for i, name in enumerate(prepared.item_ids)}
    user = prepared.user_ids.tolist().index("u")

    assert rules.engaged(user, "home_feed", at(1)).tolist() == []
    assert rules.engaged(user, "home_feed", at(2)).tolist() == [place["a"]]
    assert rules.engaged(user, "home_feed", at(99)).tolist() == sorted([place["a"], place["b"]])
    assert rules.engaged(user, "search", at(99)).tolist() == []
    assert rules.engaged(MISSING, "home_feed", at(99)).tolist() == []
    with pytest.raises(UserError, match=r"unknown task `home`.*Did you mean `home_feed`"):
        rules.engaged(user, "home", at(1))


def test_an_event_below_the_threshold_of_a_positive_excludes_nothing():
    events = [event("u", "a", 1, event_type="view"), event("u", "b", 1), event("u", "b", 1, "search")]
    prepared, config = world(events, ITEMS, TASKS)

    allowed = by_id(prepared, CandidateRules(prepared, config).allowed(ask(prepared, 3, user="u"))[0])
    assert allowed == {"a": True, "b": False, "c": False, "d": False}


def test_later_rows_change_no_earlier_mask():
    early = [event("u", "a", 1), event("u", "b", 2), event("v", "a", 2, "search")]
    late = [event("u", "c", 6), event("v", "a", 7), event("w", "d", 9)]
    masks = []
    for events, items in ((early, ITEMS[:2]), (early + late, ITEMS)):
        prepared, config = world(events, items, TASKS)
        masks.append(by_id(prepared, CandidateRules(prepared, config).allowed(ask(prepared, 3, user="u"))[0]))

    assert masks[0] == {name: masks[1][name] for name in masks[0]}
    assert not masks[1]["c"]
    assert not masks[1]["d"]
