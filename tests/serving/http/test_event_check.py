"""Events that the release does not know: stored with a warning, or refused as a whole by a strict service."""

import dataclasses
import time

import pytest
import service_toy
from fastapi.testclient import TestClient
from release_toy import toy_manifest

from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.release.manifest import DataWindow, ReleaseData
from unified_ranker.serving.http.api import RankingBackend, create_app

TYPES = ("click", "rating", "view")
GOOD = {"user_id": "ann", "item_id": "i3", "task": "home_feed", "event_type": "rating", "timestamp": service_toy.START}
FAULTS = {
    "task": ({"task": "home_fed"}, "the release knows no such task. Did you mean `home_feed`?"),
    "event_type": ({"event_type": "clik"}, "the release knows no such event type. Did you mean `click`?"),
    "item_id": ({"item_id": "i3 "}, "the catalogue has no such item"),
    "source_item_id": ({"source_item_id": "gone"}, "the catalogue has no such item"),
    "timestamp": ({"timestamp": 4_860_000_000}, "it lies in the future"),
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


def test_a_time_of_the_present_is_not_the_future(store):
    sent = GOOD | {"timestamp": int(time.time()) + 3_600}
    assert client_over(store, strict=True).post("/v1/events", json={"events": [sent]}).status_code == 200
