"""Candidates of recorded requests, against the rule in plain Python item by item."""

import pytest
from candidate_oracle import Shown, refusal
from hypothesis import given, settings
from hypothesis import strategies as st
from log_by_rows import ask, at, by_id, event, item, task, world

from unified_ranker.core.request import History, Request
from unified_ranker.evaluation.candidates import CandidateRules

TASKS = {"home_feed": task(exclude_engaged=True), "search": task()}
ITEMS = [item("a"), item("b", created=0), item("c", created=5), item("d", created=9)]
SHOWN = {
    "a": Shown("a", None, ["DE", "FR"]),
    "b": Shown("b", at(0)),
    "c": Shown("c", at(5), available=False),
    "d": Shown("d", at(9), ["FR"]),
}
HOURS = st.integers(0, 10)
NAMES = st.sampled_from([None, *"abcd"])


def with_offers(items=ITEMS):
    """The items with the columns that say where they may be shown."""
    shown = [SHOWN[i["item_id"]] for i in items]
    return [i | {"countries": list(s.countries), "available": s.available} for i, s in zip(items, shown, strict=True)]


@st.composite
def logs(draw):
    rows = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["u", "v", None]),
                st.sampled_from("abcd"),
                HOURS,
                st.sampled_from(["home_feed", "search"]),
                st.sampled_from(["like", "view"]),
                NAMES,
                NAMES,
                st.sampled_from([None, "DE", "FR", "US"]),
            ),
            max_size=12,
        )
    )
    blank = {"source_item_id": None, "query_item_id": None, "country": None}
    both = [event("w", "a", 1, "home_feed", **blank), event("w", "a", 1, "search", **blank)]
    return both + [
        event(user, name, hour, task, event_type=kind, source_item_id=source, query_item_id=query_item, country=country)
        for user, name, hour, task, kind, source, query_item, country in rows
    ]


def as_request(prepared, requests, row, events):
    """A recorded request by names, with all that its user did in the log, at whatever time."""
    items, users = [*prepared.item_ids, ""], [*prepared.user_ids, None]
    user = users[requests.user[row]]
    past = [e | {"timestamp": int(e["timestamp"].timestamp())} for e in events if user and e["user_id"] == user]
    return Request(
        user or "",
        requests.task[row],
        source_item_id=items[requests.source_item[row]],
        query_item_id=items[requests.query_item[row]],
        country=requests.country[row],
        timestamp=int(requests.timestamp[row]),
        history=History.of(past),
    )


@settings(deadline=None, max_examples=40)
@given(logs())
def test_mask_and_reasons_equal_the_rule_item_by_item(events):
    prepared, config = world(events, with_offers(), TASKS)
    requests = prepared.examples
    rules = CandidateRules(prepared, config)
    mask, reasons = rules.allowed(requests), rules.unreachable(requests)
    for row in range(len(requests)):
        request = as_request(prepared, requests, row, events)
        expected = {name: refusal(SHOWN[name], request, TASKS[request.task]) for name in prepared.item_ids}
        assert by_id(prepared, mask[row]) == {name: not reason for name, reason in expected.items()}
        assert reasons[row] == expected[prepared.item_ids[requests.item[row]]]


def test_each_reason_has_its_name():
    events = [event("u", "a", 1), event("u", "a", 2, "search")]
    prepared, config = world(events, with_offers(), TASKS)
    rules = CandidateRules(prepared, config)

    def reason(**fields):
        return rules.unreachable(ask(prepared, **fields)).item()

    assert reason(hour=2, item="b", country="US") == ""
    assert reason(hour=2) == "unknown item"
    assert reason(hour=2, item="c") == "not created before the request"
    assert reason(hour=2, item="b", source="b") == "is the source item"
    assert reason(hour=2, item="b", query_item="b") == "is the query item"
    assert reason(hour=2, item="a", user="u") == "already engaged with"
    assert reason(hour=10, item="d", country="DE") == "not offered in the country"
    assert reason(hour=9, item="c") == "not available"


@pytest.mark.parametrize(
    ("asked", "left"),
    [
        ({"hour": 1, "user": "u"}, {"a", "b"}),
        ({"hour": 2, "user": "u"}, {"b"}),
        ({"hour": 4, "user": "u"}, set()),
        ({"hour": 4, "user": "v"}, {"a", "b"}),
        ({"hour": 4}, {"a", "b"}),
        ({"hour": 4, "user": "u", "task": "search"}, {"a", "b"}),
    ],
    ids=["at the time", "after one", "after both", "another user", "anonymous", "a task that excludes nothing"],
)
def test_engaged_is_strictly_before_of_that_user_and_task(asked, left):
    events = [event("u", "a", 1), event("u", "b", 2), event("v", "c", 6), event("u", "a", 1, "search")]
    prepared, config = world(events, ITEMS, TASKS)
    allowed = by_id(prepared, CandidateRules(prepared, config).allowed(ask(prepared, **asked))[0])
    assert {name for name, may in allowed.items() if may} == left


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
