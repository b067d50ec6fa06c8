"""Requests, and their form as inputs of the served model."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.core.request import (
    EVENT_FIELDS,
    NO_HISTORY,
    REQUEST_FIELDS,
    History,
    Request,
    model_inputs,
    state_arrays,
    to_arrays,
)
from unified_ranker.core.windows import last_events

EVENTS = [
    {"item_id": "b", "event_type": "click", "task": "feed", "timestamp": 20, "value": 4.5},
    {"item_id": "a", "event_type": "view", "timestamp": 10},
    {"item_id": 7, "event_type": None, "task": "search", "timestamp": 30, "value": None},
]


def test_a_history_is_in_order_of_time():
    history = History.of(EVENTS)
    assert history.item_id.tolist() == ["a", "b", "7"]
    assert history.event_type.tolist() == ["view", "click", ""]
    assert history.task.tolist() == ["", "feed", "search"]
    assert history.timestamp.tolist() == [10, 20, 30]
    assert history.value.tolist() == [0, 4.5, 0]


def test_before_is_strict():
    history = History.of(EVENTS)
    assert [len(history.before(t)) for t in (10, 11, 30, 31, 0)] == [0, 1, 2, 3, 3]
    assert len(NO_HISTORY.before(5)) == 0


def test_the_last_events_are_sent_padded_behind():
    requests = [
        Request("u", "feed", history=History.of(EVENTS)),
        Request("v", "search", query="q", timestamp=20, history=History.of(EVENTS), limit=3),
        Request("", "feed", country="GB", source_item_id="a", query_item_id="b"),
    ]
    arrays = to_arrays(requests, history_length=2)
    assert arrays["history_item_id"].tolist() == [["b", "7"], ["a", ""], ["", ""]]
    assert arrays["history_timestamp"].tolist() == [[20, 30], [10, 0], [0, 0]]
    assert arrays["history_value"].dtype == np.float32
    assert arrays["timestamp"].tolist() == [0, 20, 0]
    assert [arrays[n].tolist() for n in ("user_id", "query", "country")] == [
        ["u", "v", ""],
        ["", "q", ""],
        ["", "", "GB"],
    ]
    assert [arrays[n][2] for n in ("source_item_id", "query_item_id")] == ["a", "b"]
    assert "limit" not in arrays


def test_no_history_at_all():
    arrays = to_arrays([Request("u", "feed")], history_length=4)
    assert {arrays[n].shape for n in arrays if n.startswith("history_")} == {(1, 0)}
    assert arrays["history_item_id"].dtype == object
    assert arrays["history_timestamp"].dtype == np.int64


@given(st.lists(st.integers(1, 50), max_size=12), st.integers(0, 55), st.integers(1, 6))
def test_what_is_sent_are_the_last_whole_seconds_of_what_came_before(times, now, length):
    events = [{"item_id": f"i{n}", "event_type": "x", "task": "t", "timestamp": t} for n, t in enumerate(times)]
    sent = to_arrays([Request("u", "t", timestamp=now, history=History.of(events))], length)["history_timestamp"][0]
    earlier = sorted(t for t in times if t < now or now == 0)
    assert sent.tolist() == [
        t for t in earlier[-length:] if sum(other >= t for other in earlier) <= length or earlier.count(t) > length
    ]


def test_histories_have_the_same_types_whatever_they_hold():
    kinds = {"item_id": object, "event_type": object, "task": object, "timestamp": np.int64, "value": np.float32}
    for history in (History.of([]), NO_HISTORY, History.of(EVENTS), History.joined([]), History.of(EVENTS).before(11)):
        assert {name: getattr(history, name).dtype for name in kinds} == kinds


def test_no_requests_are_a_batch_too():
    arrays = to_arrays([], 3)
    assert {column.shape[0] for column in arrays.values()} == {0}


def test_what_is_not_given_of_a_request_is_blank():
    arrays = model_inputs(2, {"task": "feed"}, last_events(np.zeros(2, int), np.zeros(2, int)), NO_HISTORY)
    assert arrays["task"].tolist() == ["feed", "feed"]
    assert arrays["query"].tolist() == ["", ""]
    assert arrays["timestamp"].tolist() == [0, 0]


def test_a_state_is_handed_on_by_its_prefix():
    assert state_arrays({"state_user": 1, "query_vector": 2, "my_state_": 3}) == {"state_user": 1}


def test_absent_fields_are_blank_and_every_input_has_its_type():
    arrays = to_arrays([Request("", ""), Request("u", "t", history=History.of(EVENTS))], 3)
    fields = {**REQUEST_FIELDS, **{f"history_{name}": kind for name, kind in EVENT_FIELDS.items()}}
    assert {name: column.dtype for name, column in arrays.items()} == fields
    for name, column in arrays.items():
        blank = "" if column.dtype == object else 0
        assert np.all(column[0] == blank), name


def test_only_events_of_the_read_types_are_sent_and_they_fill_the_window():
    """Ten impressions a click would leave one click of the last eleven events."""
    kinds = ["click", "impression", "impression", "", "click", "impression"]
    history = History.of([{"item_id": f"i{n}", "event_type": k, "timestamp": n + 1} for n, k in enumerate(kinds)])
    asked = [Request("u", "home_feed", history=history)]
    assert to_arrays(asked, 2, ["click"])["history_item_id"].tolist() == [["i3", "i4"]]
    assert to_arrays(asked, 2)["history_item_id"].tolist() == [["i4", "i5"]]
