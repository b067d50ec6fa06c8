"""Requests as the arrays of the served model."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.prepare.examples import MISSING
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import prepare
from unified_ranker.prepare.request_arrays import NO_HISTORY, History, Request, request_arrays, to_arrays

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
def test_what_is_sent_is_the_suffix_of_what_came_before(times, now, length):
    events = [{"item_id": f"i{n}", "event_type": "x", "task": "t", "timestamp": t} for n, t in enumerate(times)]
    sent = to_arrays([Request("u", "t", timestamp=now, history=History.of(events))], length)["history_timestamp"][0]
    expected = sorted(t for t in times if t < now or now == 0)[-length:]
    assert sent.tolist() == expected


@pytest.mark.parametrize("length", [1, 3, 100])
def test_recorded_examples_are_the_requests_that_they_were(toy_prepared, length):
    """The same through the log's history, request by request."""
    prepared = toy_prepared
    examples, log = prepared.examples, LogHistory(prepared)
    arrays = request_arrays(examples, prepared, length)

    def name(names, index):
        return "" if index == MISSING else names[index]

    requests = []
    for n in range(len(examples)):
        user, time = name(prepared.user_ids, examples.user[n]), int(examples.timestamp[n])
        requests.append(
            Request(
                user,
                examples.task[n],
                examples.query[n],
                name(prepared.item_ids, examples.source_item[n]),
                name(prepared.item_ids, examples.query_item[n]),
                examples.country[n],
                time,
                history=log.before(user, time) if user else NO_HISTORY,
            )
        )
    expected = to_arrays(requests, length)
    assert arrays.keys() == expected.keys()
    for field, column in expected.items():
        np.testing.assert_array_equal(arrays[field], column, err_msg=field)


def test_examples_without_users(make_log, make_config):
    log = make_log(events=40)
    events = log.events.assign(user_id=None)
    prepared = prepare(type(log)(events, log.items, log.users), make_config())
    arrays = request_arrays(prepared.examples, prepared, 5)
    assert set(arrays["user_id"]) == {""}
    assert arrays["history_item_id"].shape == (len(prepared.examples), 0)


def test_the_log_knows_nothing_of_a_stranger(toy_prepared):
    log = LogHistory(toy_prepared)
    assert len(log.before("stranger", 0)) == 0
    everything = log.before("u1", 0)
    assert len(everything) == np.diff(toy_prepared.histories.offsets)[toy_prepared.user_ids.tolist().index("u1")]
    cut = int(everything.timestamp[len(everything) // 2])
    np.testing.assert_array_equal(log.before("u1", cut).timestamp, everything.timestamp[everything.timestamp < cut])
