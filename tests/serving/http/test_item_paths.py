"""Ids of items in paths: any id is reached by its percent-encoding, by every operation, and no two are one item.

Over a socket and without a client's own normalising, because client and server decode paths.
"""

import http.client
import json
import threading
from urllib.parse import quote

import pytest
import service_toy
import uvicorn
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from unified_ranker.core.addresses import listen
from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.serving.service.live_items import LiveItems

ITEM = json.dumps({"title": "T", "code": "1,1,1"})
IDS = ["a/b", "/", "//", "/a", "a/", ".", "..", "a/../b", "?", "#x", "%", "%2F", "+", " ", "a;b", "\0", "\n", "a\n"]


@pytest.fixture(scope="module")
def ask():
    """Sends a request, and returns the status and the body."""
    ranker = service_toy.service()
    app = create_app(RankingBackend(ranker, live=LiveItems(ranker)))
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", http="httptools", log_config=None))
    with listen("127.0.0.1", 0, "--port") as listener:
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
        thread.start()
        connection = http.client.HTTPConnection(*listener.getsockname()[:2])

        def send(method, path, body=None):
            connection.request(method, path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            text = answer.read()
            return answer.status, json.loads(text) if answer.headers["content-type"] == "application/json" else text

        yield send
        connection.close()
        server.should_exit = True
        thread.join()


def address(item_id):
    return f"/v1/items/{quote(item_id, safe='')}"


def check(ask, item_id):
    """The item comes, is found, and goes."""
    path = address(item_id)
    ask("DELETE", path)
    for method, status in (("GET", 404), ("PUT", 200), ("GET", 200), ("DELETE", 200), ("DELETE", 404)):
        found, answer = ask(method, path, ITEM if method == "PUT" else None)
        assert found == status, (method, answer)
        if status == 200:
            assert answer["item_id"] == item_id


@pytest.mark.parametrize("item_id", IDS)
def test_an_id_of_any_text_is_reached(ask, item_id):
    check(ask, item_id)


@settings(max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40))
def test_an_id_of_any_characters_is_reached(ask, item_id):
    check(ask, item_id)


def test_every_operation_on_an_item_takes_slashes(ask):
    methods = ask("GET", "/openapi.json")[1]["paths"]["/v1/items/{item_id}"]
    assert len(methods) >= 3
    for method in methods:
        _, answer = ask(method.upper(), address("no/such/item"), '{"title": 1}')
        assert answer["error"] not in ("Not Found", "Method Not Allowed"), method


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("wrong", ["%ff", "%fe", "a%ff", "%c3", "%ed%a0%80", "%c0%af"])
def test_bytes_that_are_no_utf_8_are_refused_and_are_not_one_item(ask, method, wrong):
    for path in (f"/v1/items/{wrong}", f"/v1/users?prefix={wrong}"):
        status, body = ask(method, path, ITEM)
        assert status == 400
        assert "UTF-8" in body["error"]
    assert ask("GET", address("\ufffd"))[0] == 404


def test_the_metric_of_an_item_names_the_template_alone(ask):
    ask("GET", address("a/b"))
    lines = [line for line in ask("GET", "/metrics")[1].decode().splitlines() if "http_responses_total{" in line]
    assert any('path="/v1/items/{item_id}"' in line for line in lines)
    assert not any(":path" in line or "a/b" in line for line in lines)
