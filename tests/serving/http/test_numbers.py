"""Numbers of bodies that no field holds: each is refused with the field's name, whatever its digits and its field."""

import dataclasses

import pytest
import service_toy
from fastapi.testclient import TestClient
from service_toy import START, ToyModel, refusal

from unified_ranker.config import Config
from unified_ranker.events.lmdb_histories import LmdbStore
from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.releases import Releases

BAD = {
    "400 digits": "1" + "0" * 400, "minus 400 digits": "-" + "9" * 400, "5,000 digits": "7" * 5_000,
    "infinity": "Infinity", "minus infinity": "-Infinity", "not a number": "NaN",
    "an exponent of 999": "1e999", "minus an exponent of 400": "-1e400", "more than float32": "1e39",
}  # fmt: skip
EVENT = '{"user_id": "ann", "item_id": "i3", "task": "home_feed", "event_type": "rating", "FIELD": NUMBER}'
ASKED = '{"user_id": "ann", "task": "search", "query": "1,1,1", "FIELD": NUMBER}'
PAST = '{"user_id": null, "task": "search", "history": [{"item_id": "i1", "timestamp": 5, "FIELD": NUMBER}]}'
ITEM = '{"title": "T", "code": "1,1,1", "price": 1, "FIELD": NUMBER}'
FIELDS = [
    *[("POST", "/v1/events", f'{{"events": [{EVENT}]}}', f"events.0.{f}") for f in ("value", "timestamp", "position")],
    *[("POST", "/v1/recommend", ASKED, field) for field in ("limit", "timestamp")],
    *[("POST", "/v1/recommend", PAST, f"history.0.{field}") for field in ("value", "timestamp")],
    *[("PUT", "/v1/items/x", ITEM, field) for field in ("price", "created_at", "title", "code")],
    *[("PATCH", "/v1/items/i3", '{"FIELD": NUMBER}', field) for field in ("price", "created_at", "title", "code")],
    *[("POST", "/v1/admin/reload", '{"FIELD": NUMBER}', field) for field in ("release", "share")],
]


class Priced(ToyModel):
    @staticmethod
    def _embed_items(item_id, created_at, code, price):
        return ToyModel._embed_items(item_id, created_at, code)


@pytest.fixture(scope="module")
def service(tmp_path_factory):
    """Items of the toy have a price, too."""
    features = [*service_toy.DECLARATIONS["towers"]["item"]["features"], {"type": "number", "column": "price"}]
    config = Config.model_validate({**service_toy.DECLARATIONS, "towers": {"item": {"features": features}}})
    root = tmp_path_factory.mktemp("numbers")
    store = LmdbStore(root / "store")
    ranker = service_toy.service(Priced(), dataclasses.replace(service_toy.RELEASE, config=config), histories=store)
    live = LiveItems(ranker, store)
    backend = RankingBackend(ranker, store, live, Releases(ranker, root, None, live))
    yield TestClient(create_app(backend), raise_server_exceptions=False), store
    store.close()


def ask(http, method, path, body):
    return http.request(method, path, content=body, headers={"Content-Type": "application/json"})


@pytest.mark.parametrize(("method", "path", "form", "field"), FIELDS, ids=[f"{f[1]} {f[3]}" for f in FIELDS])
@pytest.mark.parametrize("number", BAD)
def test_a_number_that_no_field_holds_is_refused_by_its_name(service, method, path, form, field, number):
    http, store = service
    body = form.replace("FIELD", field.rpartition(".")[2]).replace("NUMBER", BAD[number])
    answer = refusal(ask(http, method, path, body), 422)
    assert f"`{field}`" in answer["error"]
    assert len(answer["error"]) < 500
    assert (store.item_changes(), store.since("")) == ([], [])


@pytest.mark.parametrize("path", ["/v1/users?limit=", "/v1/users?limit=-"])
@pytest.mark.parametrize("number", ["1" + "0" * 400, "7" * 5_000, "Infinity", "NaN", "1e999"])
def test_a_number_of_an_address_is_refused_by_its_name(service, path, number):
    answer = refusal(service[0].get(path + number), 422)
    assert "`limit`" in answer["error"]


def test_large_and_small_numbers_that_a_field_holds_are_taken(service):
    http, store = service
    sent = [("value", "-1e9", -1e9), ("value", "1e-300", 1e-300), ("position", "1000000", 1_000_000)]
    for field, number, _ in sent:
        body = f'{{"events": [{EVENT}]}}'.replace("FIELD", field).replace("NUMBER", number)
        assert ask(http, "POST", "/v1/events", body.replace("}]", f', "timestamp": {START}.5}}]')).status_code == 200
    assert [getattr(event, field) for (_, event), (field, *_) in zip(store.since(""), sent, strict=True)] == [
        value for *_, value in sent
    ]
    body = ITEM.replace("FIELD", "created_at").replace("NUMBER", str(START)).replace('"price": 1', '"price": -3e38')
    assert ask(http, "PUT", "/v1/items/x", body).status_code == 200
    assert [change.fields["price"] for change in store.item_changes()] == [-3e38]
