"""Bodies of up to a mebibyte that are made to take long: no request waits for them longer than for a good one.

The application reads bodies in the event loop. Processor time is measured, against that of the largest good body.
"""

import json
import time

import pytest
from fastapi.testclient import TestClient
from service_toy import START, ids, refusal, service

from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.serving.http.bodies import MAX_EVENTS, MAX_HISTORY
from unified_ranker.serving.http.bounded_json import MOST_MARKS
from unified_ranker.serving.http.request_context import MAX_BODY
from unified_ranker.serving.service.live_items import LiveItems

MOST_TIMES = 10
"""Times as long as the largest good body; before there were bounds, 100 and more."""
RECOMMEND, EVENTS, ITEM = ("POST", "/v1/recommend"), ("POST", "/v1/events"), ("PUT", "/v1/items/x")
LONG = "é" * 120
EVENT = {"item_id": LONG, "event_type": LONG, "task": LONG, "timestamp": START, "value": 0.5}


@pytest.fixture(scope="module")
def client():
    ranker = service()
    absent = object()
    return TestClient(create_app(RankingBackend(ranker, absent, LiveItems(ranker))), raise_server_exceptions=False)


def filled(piece, head, tail, most):
    """As many pieces as fit into so many bytes."""
    return head + ",".join([piece] * ((most - len(head) - len(tail)) // (len(piece) + 1))) + tail


def names(count):
    return "{" + ",".join(f'"k{n}":1' for n in range(count)) + "}"


HEAD, EVENTS_HEAD = '{"user_id":"a","task":"search",', '{"events":['
HOSTILE = {
    "empty events": (EVENTS, lambda most, marks: filled("{}", EVENTS_HEAD, "]}", min(most, marks))),
    "numbers for events": (EVENTS, lambda most, marks: filled("0", EVENTS_HEAD, "]}", min(most, 2 * marks))),
    "events of unknown fields": (
        EVENTS,
        lambda most, marks: EVENTS_HEAD + ",".join([names(min(most // 9, marks // 2) // 490)] * 490) + "]}",
    ),
    "histories of unknown fields": (
        RECOMMEND,
        lambda most, marks: HEAD + '"history":[' + ",".join([names(min(most // 9, marks // 2) // 980)] * 980) + "]}",
    ),
    "unknown fields": (RECOMMEND, lambda most, marks: HEAD + names(min(most // 12, marks // 2 - 20))[1:]),
    "objects for a name": (
        RECOMMEND,
        lambda most, marks: filled('{"a":[]}', '{"task":"search","user_id":[', "]}", min(most, 2 * marks)),
    ),
    "no object": (RECOMMEND, lambda most, marks: filled("[]", "[", "]", min(most, marks))),
    "digits": (RECOMMEND, lambda most, marks: filled("1" * 4000, '{"task":"search","user_id":[', "]}", most)),
    "depth": (RECOMMEND, lambda most, marks: "[" * min(most // 2, marks) + "]" * min(most // 2, marks)),
    "fields of an item": (ITEM, lambda most, marks: names(min(most // 12, marks // 2 - 20))),
    "values of an item": (ITEM, lambda most, marks: filled('"ab"', '{"code":[', "]}", min(most, 5 * marks))),
}


def spent(client, operation, body):
    """The least processor time of three, and the answer."""
    assert len(body.encode()) <= MAX_BODY
    times = []
    for _ in range(3):
        started = time.process_time()
        response = client.request(*operation, content=body.encode(), headers={"Content-Type": "application/json"})
        times.append(time.process_time() - started)
    return min(times), response


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("marks", [MAX_BODY, MOST_MARKS - 100], ids=["as many bytes", "as many values"])
def test_no_body_takes_much_longer_than_the_largest_good_one(client, name, marks):
    operation, made = HOSTILE[name]
    good = {"user_id": "u", "task": "search", "query": "1,2,3", "history": [EVENT] * MAX_HISTORY}
    usual, response = spent(client, RECOMMEND, json.dumps(good, ensure_ascii=False))
    assert response.status_code == 200
    hostile, response = spent(client, operation, made(MAX_BODY - 200, marks))
    assert response.status_code in (400, 413, 422)
    refusal(response, response.status_code)
    assert len(response.content) < 8_000
    assert hostile < MOST_TIMES * usual


def test_commas_in_texts_are_no_values(client):
    history = [{"item_id": '\\",:[{' * 40, "timestamp": START}] * MAX_HISTORY
    assert ids(client.post("/v1/recommend", json={"user_id": "u", "task": "search", "history": history}))


def test_the_error_says_how_many_values_and_fields_there_may_be(client):
    head = '{"user_id":"u","task":"search"'
    too_many = json.loads(head + "}") | {"history": [0] * (MOST_MARKS + 1)}
    assert "50,000 values" in refusal(client.post("/v1/recommend", json=too_many), 413)["error"]
    body = json.loads(head + "}") | {f"k{n}": 1 for n in range(50)}
    assert refusal(client.post("/v1/recommend", json=body), 422)["details"][0]["field"] == "body"
    body["history"] = [{"item_id": "i1", "timestamp": START}, {"item_id": "i1"} | {f"k{n}": 1 for n in range(50)}]
    body = {name: value for name, value in body.items() if name[0] != "k"}
    (fault,) = refusal(client.post("/v1/recommend", json=body), 422)["details"]
    assert fault["field"] == "history.1"
    assert fault["message"].startswith("Input should have at most 15 fields")


def test_the_first_entry_of_a_list_that_is_not_in_order_is_named_with_all_its_faults(client):
    good = {"user_id": "u", "item_id": "i1", "task": "search", "event_type": "click"}
    sent = [good, {"user_id": 1, "item_id": ""}, {}] + [good] * (MAX_EVENTS - 3)
    body = refusal(client.post("/v1/events", json={"events": sent}), 422)
    fields = [fault["field"] for fault in body["details"]]
    assert fields == [f"events.1.{name}" for name in ("user_id", "item_id", "task", "event_type")]
