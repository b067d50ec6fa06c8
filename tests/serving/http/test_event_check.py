"""Events that the release does not know: stored with a warning, or refused as a whole by a strict service."""

import dataclasses
import time

import pytest
import service_toy
import store_toy
from fastapi.testclient import TestClient
from release_toy import toy_manifest

from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.release.manifest import DataWindow, ReleaseData
from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.store import open_store

TYPES = ("click", "rating", "view")
GOOD = {"user_id": "ann", "item_id": "i3", "task": "home_feed", "event_type": "rating", "timestamp": service_toy.START}
FAULTS = {
    "task": ({"task": "home_fed"}, "the release knows no such task. Did you mean `home_feed`?"),
    "event_type": ({"event_type": "clik"}, "the release knows no such event type. Did you mean `click`?"),
    "item_id": ({"item_id": "i3 "}, "the catalogue has no such item"),
    "source_item_id": ({"source_item_id": "gone"}, "the catalogue has no such item"),
}


@pytest.fixture
def store(tmp_path):
    opened = LmdbStore(tmp_path)
    yield opened
    opened.close()


def client_over(store, strict, types=TYPES):
    data = ReleaseData(checksum="x", window=DataWindow(start=0, fit_end=1, end=2), event_types=types)
    service = service_toy.service()
    engine = service.engines["stable"]
    release = dataclasses.replace(
        engine.release, manifest=toy_manifest(service_toy.CONFIG, 7, service_toy.ITEMS, data=data)
    )
    engine.parts = dataclasses.replace(engine.parts, release=release)
    return TestClient(create_app(RankingBackend(service, store, strict_events=strict)))


@pytest.mark.parametrize("strict", [True, False])
def test_events_that_the_release_knows_have_no_warning(store, strict):
    answer = client_over(store, strict).post("/v1/events", json={"events": [GOOD]})
    assert answer.json() == {"accepted": 1, "new": 1, "warnings": []}


@pytest.mark.parametrize("field", FAULTS)
def test_what_is_unknown_is_stored_and_said_once_with_its_number(store, field):
    changed, message = FAULTS[field]
    sent = [GOOD, GOOD | changed, GOOD | changed | {"user_id": "bob"}]
    answer = client_over(store, strict=False).post("/v1/events", json={"events": sent}).json()
    assert (answer["accepted"], answer["new"]) == (3, 3)
    (warning,) = answer["warnings"]
    assert (warning["field"], warning["events"]) == (f"events.1.{field}", 2)
    assert warning["message"].startswith(message)
    assert len(store.before("ann", 0)) == 2


@pytest.mark.parametrize("field", FAULTS)
def test_a_strict_service_refuses_all_of_the_request(store, field):
    changed, message = FAULTS[field]
    answer = client_over(store, strict=True).post("/v1/events", json={"events": [GOOD, GOOD | changed]})
    body = service_toy.refusal(answer, 422)
    assert body["details"][0]["field"] == f"events.1.{field}"
    assert body["error"].startswith(f"`events.1.{field}`: {message}")
    assert len(store.before("ann", 0)) == 0


def test_a_release_that_names_no_kinds_of_event_takes_any(store):
    answer = client_over(store, strict=True, types=()).post("/v1/events", json={"events": [GOOD | {"event_type": "x"}]})
    assert answer.json()["warnings"] == []


@pytest.mark.parametrize("strict", [True, False])
def test_a_time_in_the_future_is_refused_and_one_within_a_day_is_a_clock_that_differs(store, strict):
    now, client = int(time.time()), client_over(store, strict)
    assert client.post("/v1/events", json={"events": [GOOD | {"timestamp": now + 3_600}]}).status_code == 200
    for later in (now + 90_000, 4_860_000_000, "9999-12-31T23:59:59Z"):
        answer = client.post("/v1/events", json={"events": [GOOD, GOOD | {"timestamp": later}]})
        body = service_toy.refusal(answer, 422)
        assert body["error"].startswith("`events.1.timestamp`: it lies more than 24 hours in the future")
    assert len(store.before("ann", 0)) == 1, "none of such a request is stored"


def test_events_without_a_time_are_one_of_a_known_user_within_a_second_and_several_of_anonymous_ones(store):
    client, bare = client_over(store, strict=True), {name: value for name, value in GOOD.items() if name != "timestamp"}

    def new(*events):
        return client.post("/v1/events", json={"events": list(events)}).json()["new"]

    anonymous = bare | {"user_id": None}
    assert new(*[anonymous] * 50) == 50
    assert [new(anonymous) for _ in range(50)] == [1] * 50, "each request is of its own microsecond"
    assert len(store.since("")) == 100
    assert new(bare, bare) == 1


@pytest.mark.parametrize("user", ["ann", None])
def test_a_request_that_is_sent_again_adds_nothing(store, user):
    client = client_over(store, strict=True)
    rest = {"query": "red", "source_item_id": "i9", "country": "GB", "position": 3, "request_id": "r", "value": 2}
    by_field = [GOOD | {"user_id": user, name: value} for name, value in rest.items()]
    moments = [GOOD | {"user_id": user, "timestamp": f"2024-01-01T00:00:00.{n}Z"} for n in range(4)]
    sent = {"events": [GOOD | {"user_id": user}, *by_field, *moments]}
    assert [client.post("/v1/events", json=sent).json()["new"] for _ in range(3)] == [11, 0, 0]


def test_an_event_with_an_id_may_be_sent_again_without_a_time(store):
    client = client_over(store, strict=True)
    sent = {name: value for name, value in GOOD.items() if name != "timestamp"} | {"event_id": "e1"}
    other = sent | {"timestamp": service_toy.START}
    assert [client.post("/v1/events", json={"events": [one]}).json()["new"] for one in (other, sent, sent)] == [1, 0, 0]


IDS = ("user_id", "item_id", "task", "event_type", "source_item_id", "request_id", "event_id")


@pytest.mark.parametrize("field", IDS)
def test_an_id_has_a_limit_in_bytes_that_every_store_holds(store, field, tmp_path):
    client = client_over(store, strict=False)
    for longest in ("i" * 480, "\u00fc" * 240, "\U0001f600" * 120):
        assert client.post("/v1/events", json={"events": [GOOD | {field: longest}]}).status_code == 200
        answer = client.post("/v1/events", json={"events": [GOOD, GOOD | {field: longest + "x"}]})
        assert service_toy.refusal(answer, 422)["details"][0]["field"] == f"events.1.{field}"
    with open_store(tmp_path / "vectors") as vectors:
        store_toy.export(vectors, store_toy.unit(1))
        ids = [getattr(event, field) for _, event in store.since("")]
        vectors.put_many("item", ids, store_toy.unit(len(ids)), 9)
