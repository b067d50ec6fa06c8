"""Changed items: what PUT and PATCH make of an item, over releases that know less or keep less of their items."""

import contextlib

import hypothesis
import numpy as np
import pyarrow.parquet as pq
import pytest
from catalogue_oracle import merged as merged_by_hand
from changing_toy import Failing, code, released, replica, write_releases
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from service_toy import QUERY, VECTORS

from unified_ranker.core.errors import UserError
from unified_ranker.events.item_change import ItemChange, composed, with_patch
from unified_ranker.events.memory_changes import MemoryChanges
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.service.live_items import LiveItems

WHOLE = {"title": "New", "code": "1,2,3"}
values = st.one_of(st.none(), st.booleans(), st.integers(0, 9), st.text(max_size=3))
patches = st.dictionaries(st.sampled_from("abcd"), values)


class Store(MemoryChanges):
    """A store of changes that is closed and has no histories."""

    def before(self, user_id, timestamp):
        raise AssertionError("no history is read here")


@pytest.fixture(scope="module")
def releases(tmp_path_factory):
    return write_releases(tmp_path_factory.mktemp("items"))


@pytest.fixture
def changing(releases):
    with replica(releases, Store()) as made:
        yield made


@pytest.fixture
def http(changing):
    return TestClient(changing.app)


def shown(http, **more):
    body = {"user_id": None, "task": "search", "query": QUERY, "limit": 500, "history": [], **more}
    return {item["item_id"]: item for item in http.post("/v1/recommend", json=body).json()["items"]}


@hypothesis.given(st.none() | patches, st.lists(patches, max_size=4))
def test_patches_one_after_the_other_are_one_patch(item, changes):
    fields, right = {}, item
    for patch in changes:
        fields = composed(fields, patch)
        right = None if right is None else merged_by_hand(right, patch)
    change = ItemChange("i", 1, fields, partial=True)
    found = ItemChange.of_record("i", 1, change.record()).over(item)
    assert found == (right if changes or item is None else merged_by_hand(item, {}))
    assert item is None or with_patch(item, fields) == found


@pytest.mark.parametrize("lacking", ["title", "code"])
def test_a_put_that_would_erase_a_field_in_silence_is_refused(http, lacking):
    before = shown(http)["i0"]
    fields = {name: value for name, value in WHOLE.items() if name != lacking}
    refused = http.put("/v1/items/i0", json={**fields, "available": False})
    assert refused.status_code == 422
    assert f"`{lacking}` must be given, because PUT replaces the whole item" in refused.json()["error"]
    assert shown(http)["i0"] == before
    assert (
        http.put("/v1/items/i0", json={**fields, lacking: None if lacking == "title" else "0,0,1"}).status_code == 200
    )


def test_a_patch_changes_what_it_names_and_nothing_else(http):
    before = shown(http)["i0"]
    assert http.patch("/v1/items/i0", json={"available": False}).json() == {"item_id": "i0", "change": "patched"}
    assert "i0" not in shown(http)
    http.patch("/v1/items/i0", json={"available": None, "countries": ["DE"]})
    assert shown(http, country="DE")["i0"] == before
    assert "i0" not in shown(http, country="FR")
    http.patch("/v1/items/i0", json={"countries": None, "title": "Renamed"})
    assert shown(http)["i0"] == {**before, "title": "Renamed"}
    http.patch("/v1/items/i0", json={"code": "1,0,0"})
    now = shown(http)["i0"]
    assert (now["title"], now["retrieval_score"]) == ("Renamed", pytest.approx(0.5))


def test_a_patch_as_merge_patch_json_is_taken_too(http):
    http.put("/v1/items/x", json=WHOLE)
    kind = {"Content-Type": "application/merge-patch+json"}
    assert http.patch("/v1/items/x", content=b'{"title": null}', headers=kind).status_code == 200
    assert shown(http)["x"]["title"] == ""


def test_there_is_nothing_to_patch_in_an_item_that_is_gone(http):
    assert http.patch("/v1/items/none", json={"title": "x"}).status_code == 404
    http.delete("/v1/items/i1")
    assert http.patch("/v1/items/i1", json={"available": True}).status_code == 404
    assert "i1" not in shown(http)


def test_fields_that_are_not_embedded_are_patched_without_the_model(changing):
    """The vector stays the released one, to the last bit."""
    model = changing.service.engines["stable"].model
    model.calls.clear()
    changing.live.patch("i2", {"title": "Renamed", "available": True, "countries": ["DE"]})
    assert model.calls == []
    (item,) = changing.service.release.live.changes.values()
    assert (item.vector == VECTORS[2]).all()


@pytest.fixture
def keeps_no_fields(tmp_path):
    """A release of an earlier version, whose catalogue has what answers show and nothing else."""
    root = write_releases(tmp_path)
    for version in ("1", "2"):
        file = root / version / "catalogue" / "catalogue.parquet"
        pq.write_table(pq.read_table(file).drop_columns(["code"]), file)
    return root


def test_a_release_that_keeps_no_fields_takes_patches_that_need_none(keeps_no_fields):
    with replica(keeps_no_fields, Store()) as changing:
        http = TestClient(changing.app)
        assert http.patch("/v1/items/i0", json={"title": "Renamed"}).status_code == 200
        assert shown(http)["i0"]["title"] == "Renamed"
        refused = http.patch("/v1/items/i0", json={"code": "1,0,0"})
        assert refused.status_code == 422
        assert "release 1 does not keep `code`, `created_at` of its items" in refused.json()["error"]
        assert http.put("/v1/items/i0", json={**WHOLE, "title": "Put"}).status_code == 200
        assert http.patch("/v1/items/i0", json={"code": "1,0,0"}).status_code == 200
        assert shown(http)["i0"]["retrieval_score"] == pytest.approx(0.5)


def test_of_two_who_patch_an_item_at_once_neither_is_lost(changing):
    """Another replica is always first, between the reading of the item and the writing of the change."""
    store, titles = changing.live._store, iter(["other", "another"])
    put = store.put_item

    def slow(item_id, fields, partial=False, seen=None):
        if seen is not None and (title := next(titles, None)):
            put(item_id, {**(fields or {}), "title": title, "available": True}, partial)
        return put(item_id, fields, partial, seen)

    store.put_item = slow
    changing.live.patch("i0", {"countries": ["DE"]})
    (change,) = store.item_changes()
    assert change.fields == {"title": "another", "available": True, "countries": ["DE"]}


def test_a_field_that_is_unknown_or_of_another_type_changes_nothing(changing):
    with pytest.raises(UserError, match=r"`cod` is no field of an item\. Known: .* Did you mean `code`"):
        changing.live.patch("i0", {"cod": "1,2,3"})
    with pytest.raises(UserError, match="`code` must be"):
        changing.live.put("i0", {**WHOLE, "code": 7})
    assert changing.service.release.live is None


def test_an_item_that_cannot_be_embedded_is_not_stored(changing):
    model = changing.service.engines["stable"].model
    model.broken = {"item_vector": np.full((1, 3), np.nan, np.float32)}
    assert TestClient(changing.app).put("/v1/items/x", json=WHOLE).status_code == 503
    model.broken = {}
    changing.live.follow()
    assert not changing.service.release.knows("x")


def test_a_change_of_others_that_waits_for_the_model_does_not_keep_back_a_removal(changing):
    model, store = changing.service.engines["stable"].model, changing.live._store
    store.put_item("x", WHOLE)
    model.predict = lambda *_, **__: (_ for _ in ()).throw(ModelBackendError("down", "UNAVAILABLE"))
    with pytest.raises(ModelBackendError):
        changing.live.follow()
    assert changing.live.remove("i0")
    assert not changing.service.release.knows("i0")
    assert changing.live.remove("x"), "known to the store, if not to the release in service"
    del model.predict
    changing.live.follow()
    assert not changing.service.release.knows("x")


def test_an_item_whose_vector_is_no_vector_does_not_keep_back_the_others(changing):
    model, store = changing.service.engines["stable"].model, changing.live._store
    for name, vector in (("a", "1,2,3"), ("bad", "nan,0,0"), ("b", "3,2,1")):
        store.put_item(name, {"title": name, "code": vector})
    changing.live.follow()
    assert [changing.service.release.knows(name) for name in ("a", "bad", "b")] == [True, False, True]
    assert not model.closed


def test_a_release_takes_the_fields_that_it_knows_of_an_item(changing):
    """An item with a column that an earlier release did not have is not lost when that one comes back."""
    changing.live._store.put_item("x", {**WHOLE, "colour": "red"})
    changing.live.follow()
    assert changing.service.release.knows("x")
    assert changing.service.release.live.changes["x"].title == "New"


def test_every_engine_that_is_installed_has_all_changes(changing):
    numbers = np.random.default_rng(0)
    for n in range(40):
        changing.live.put(f"i{n}", {**released(n), "code": code(numbers)})
        changing.live.remove(f"i{n + 1}")
    before = {name: item and item.vector.tolist() for name, item in changing.service.release.live.changes.items()}
    changing.releases.load(2)
    after = changing.service.release.live.changes
    assert {name: item and item.vector.tolist() for name, item in after.items()} == before


def test_an_engine_that_is_forgotten_is_no_longer_asked(changing, releases):
    old = changing.service.engines["stable"].model
    changing.releases.load(2)
    with contextlib.suppress(AssertionError):
        changing.live.put("x", WHOLE)
    assert [name for name, _ in old.calls].count("embed_items") == 0
    assert isinstance(changing.service.engines["stable"].model, Failing)
    changing.live.put("y", WHOLE)


def test_live_items_without_a_store_are_of_this_process(changing):
    live = LiveItems(changing.service)
    live.put("x", WHOLE)
    assert changing.service.release.knows("x")
    assert live.remove("x")
    assert not live.remove("x")
