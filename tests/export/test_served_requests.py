"""Requests to the served model: histories, whatever may be sent, and `recommend` against NumPy."""

import dataclasses

import numpy as np
import pytest
import tiny_world
from tiny_world import DIM, LENGTH, NOW, QUALITY, encode, events, states

from unified_ranker.core.request import History, Request, to_arrays
from unified_ranker.core.times import DAY

pytestmark = pytest.mark.xdist_group("tiny_model")


# --- history ------------------------------------------------------------------------------------------------------


def assert_same(one, other, rows=slice(None), atol=1e-5):
    for name in one:
        if not name.startswith("state_history"):
            if one[name].dtype.kind == "f":
                np.testing.assert_allclose(one[name][rows], other[name][rows], atol=atol, err_msg=name)
            else:
                np.testing.assert_array_equal(one[name][rows], other[name][rows], err_msg=name)


def raw(request, history):
    """A request with a history that nobody has cut, as any client may send it."""
    whole = to_arrays([dataclasses.replace(request, timestamp=0, history=History.of(history))], 1000)
    return {**whole, "timestamp": np.array([request.timestamp])}


@pytest.mark.parametrize("task", ["home_feed", "more_like_this"])
def test_events_at_or_after_the_request_have_no_influence(task):
    request = Request("u03", task, timestamp=NOW)
    past = events(5)
    future = [{**e, "timestamp": NOW + n} for n, e in enumerate(events(4))]
    one = tiny_world.call("encode", **raw(request, past))
    other = tiny_world.call("encode", **raw(request, past + future))
    assert_same(one, other)
    earlier = [{**e, "timestamp": NOW - 1 - n} for n, e in enumerate(events(4))]
    changed = tiny_world.call("encode", **raw(request, past + earlier))
    assert np.abs(changed["query_vector"] - one["query_vector"]).max() > 1e-4


def test_a_longer_history_is_its_suffix():
    request = Request("u03", "more_like_this", timestamp=NOW)
    whole = events(30)
    one = tiny_world.call("encode", **raw(request, whole))
    np.testing.assert_array_equal(one["state_history_mask"], np.ones((1, LENGTH), bool))
    read = tiny_world.config().towers.events_read
    assert read > LENGTH, "a signal reads further back than the user tower"
    assert_same(one, tiny_world.call("encode", **raw(request, whole[-read:])))
    towers_only = tiny_world.call("encode", **raw(request, whole[-LENGTH:]))
    np.testing.assert_allclose(towers_only["query_vector"], one["query_vector"], atol=1e-5)
    assert not np.array_equal(towers_only["state_recent"], one["state_recent"])
    shorter = tiny_world.call("encode", **raw(request, whole[-LENGTH + 1 :]))
    assert np.abs(shorter["query_vector"] - one["query_vector"]).max() > 1e-5


def test_empty_places_in_the_history_are_skipped():
    arrays = raw(Request("u03", "home_feed", timestamp=NOW), events(4))
    holes = {}
    for name, column in arrays.items():
        if name.startswith("history_"):
            blank = column[:, :1].copy()
            blank[:] = "" if column.dtype == object else 0
            column = np.concatenate([blank, column[:, :2], blank, column[:, 2:], blank], 1)
        holes[name] = column
    assert_same(tiny_world.call("encode", **arrays), tiny_world.call("encode", **holes))


def test_a_value_that_is_not_a_number_counts_as_absent():
    absent, broken = events(4), events(4)
    absent[1]["value"] = 0
    broken[1]["value"] = np.nan
    request = Request("u03", "home_feed", timestamp=NOW)
    assert_same(tiny_world.call("encode", **raw(request, absent)), tiny_world.call("encode", **raw(request, broken)))


def test_without_a_time_it_is_now():
    year_2020 = 1_577_836_800
    encoded = encode(Request("u03", "home_feed"), Request("u03", "home_feed", timestamp=-5))
    assert (encoded["state_timestamp"] > year_2020).all()


# --- ordinary input -----------------------------------------------------------------------------------------------

STRANGE = [
    Request("", ""),
    Request("nobody", "nonsense", "zyx", "nothing", "nothing", "ZZ", NOW),
    Request("u01", "search", "?!", timestamp=NOW),
    Request("u01", "more_like_this", source_item_id="nothing", timestamp=NOW),
    Request("u01", "home_feed", timestamp=1, history=History.of(events(3))),
    Request("u01", "home_feed", timestamp=2**40, history=History.of(events(3))),
    Request("", "home_feed", timestamp=NOW, history=History.of([{**events(1)[0], "item_id": "nothing", "task": "x"}])),
    Request("u01", "search", "x" * 5000, timestamp=NOW),
]


@pytest.mark.parametrize("number", range(len(STRANGE)))
def test_the_unknown_and_the_empty_are_ordinary_input(number):
    arrays = to_arrays([STRANGE[number]], 1000)
    candidates = np.array([["i00", "nothing", "", "i19"]], object)
    for out in (
        tiny_world.call("encode", **arrays),
        tiny_world.call("rank", **arrays, candidate_ids=candidates),
    ):
        for name, values in out.items():
            if values.dtype.kind == "f":
                assert np.isfinite(values).all(), name
    answer = tiny_world.call("recommend", **arrays, limit=np.array([3], np.int32))
    items = answer["item_ids"][0].astype(str)
    # At the first second of 1970 the catalogue holds the one item without a date.
    expected = 1 if number == 4 else 3
    assert np.isfinite(answer["scores"][0, :expected]).all()
    assert (items[:expected] != "").all()


def test_all_the_strange_in_one_batch():
    arrays = to_arrays(STRANGE, 1000)
    encoded = tiny_world.call("encode", **arrays)
    for row in range(1, len(STRANGE)):
        alone = tiny_world.call("encode", **to_arrays([STRANGE[row]], 1000))
        np.testing.assert_allclose(alone["query_vector"][0], encoded["query_vector"][row], atol=1e-5)


def test_an_unknown_candidate_is_scored_as_nothing(encoded):
    rows = len(encoded["imputed_query"])
    candidates = np.tile(np.array(["nothing", "", "other"], object), (rows, 1))
    out = tiny_world.call("rank_encoded", **states(encoded), candidate_ids=candidates)
    np.testing.assert_allclose(out["score"], np.tile(out["score"][:, :1], 3), atol=1e-6)


def test_no_candidates_and_no_requests():
    request = to_arrays([STRANGE[2]], 8)
    out = tiny_world.call("rank", **request, candidate_ids=np.zeros((1, 0), object))
    assert {values.shape for values in out.values()} == {(1, 0)}
    nobody = {name: column[:0] for name, column in request.items()}
    assert tiny_world.call("encode", **nobody)["query_vector"].shape == (0, DIM + QUALITY)
    assert tiny_world.call("recommend", **nobody, limit=np.zeros(0, np.int32))["item_ids"].shape[0] == 0


# --- recommend ----------------------------------------------------------------------------------------------------


def recommend_by_hand(world, config, vectors, request, limit):
    """Retrieve and rank in NumPy, from what `encode` and `rank_encoded` say."""
    encoded = encode(request)
    scores = (encoded["query_vector"] @ vectors.T)[0]
    # Above every other score.
    scores[np.isin(world.item_ids, encoded["proposed_ids"][0].astype(str))] += 1_000
    task = config.tasks[request.task]
    banned = {request.source_item_id, request.query_item_id}
    history = request.history.before(request.timestamp)
    if request.task == "home_feed":
        liked = (history.event_type == "rating") & (history.task == "home_feed") & (history.value >= 4)
        banned |= set(history.item_id[liked])
    allowed = (world.created_at <= request.timestamp) & ~np.isin(world.item_ids, list(banned))
    order = np.argsort(-np.where(allowed, scores, -np.inf), kind="stable")
    order = order[: min(max(task.serving.candidates, limit), allowed.sum())]
    ids = world.item_ids[order]
    ranked = tiny_world.call("rank_encoded", **states(encoded), candidate_ids=ids[None])["score"][0]
    best = np.argsort(-ranked, kind="stable")[:limit]
    return ids[best].tolist(), ranked[best]


LIKES = [
    {"item_id": f"i{n:02}", "event_type": kind, "task": task, "timestamp": NOW - 5000 + n, "value": value}
    for n, (kind, task, value) in enumerate(
        [
            ("rating", "home_feed", 5),
            ("rating", "home_feed", 3.5),
            ("view", "home_feed", 5),
            ("rating", "search", 5),
            ("rating", "home_feed", 4),
        ]
    )
]
ASKED = {
    "home feed": (Request("u00", "home_feed", timestamp=NOW, history=History.of(LIKES)), 9),
    "home feed, long": (Request("u00", "home_feed", timestamp=NOW, history=History.of(LIKES + events(20))), 5),
    "home feed, earlier": (Request("u00", "home_feed", timestamp=NOW - 4998, history=History.of(LIKES)), 9),
    "search": (Request("u01", "search", "hazel", query_item_id="i08", timestamp=NOW, history=History.of(LIKES)), 4),
    "more like this": (Request("u02", "more_like_this", source_item_id="i04", timestamp=NOW), 5),
    "imputed": (Request("u02", "more_like_this", timestamp=NOW, history=History.of(events(3))), 12),
    "before the twins": (Request("u05", "search", "twin", timestamp=NOW - 10 * DAY), 18),
    "everything": (Request("u05", "search", "twin", timestamp=NOW), 20),
}


@pytest.mark.parametrize("name", ASKED)
def test_recommend_is_retrieval_and_ranking(name, world, config, vectors):
    request, limit = ASKED[name]
    out = tiny_world.call("recommend", **to_arrays([request], 1000), limit=np.array([limit], np.int32))
    ids, scores = recommend_by_hand(world, config, vectors, request, limit)
    assert out["item_ids"].astype(str)[0, : len(ids)].tolist() == ids
    np.testing.assert_allclose(out["scores"][0, : len(ids)], scores, atol=1e-4)
    assert set(out["item_ids"][0, len(ids) :]) <= {b""}
    assert (out["scores"][0, len(ids) :] == -np.inf).all()


def test_what_may_not_answer_does_not(world):
    def answers(name):
        request, _ = ASKED[name]
        out = tiny_world.call("recommend", **to_arrays([request], 1000), limit=np.array([20], np.int32))
        return set(out["item_ids"].astype(str)[0]) - {""}

    everything = set(world.item_ids)
    assert everything - answers("home feed") == {"i00", "i04"}
    assert everything - answers("home feed, long") == {"i00", "i04"}
    assert everything - answers("home feed, earlier") == {"i00"}
    assert everything - answers("search") == {"i08"}
    assert everything - answers("more like this") == {"i04"}
    # The source item that imputation takes from the history may answer.
    assert everything - answers("imputed") == set()
    assert everything - answers("before the twins") == set(tiny_world.TWINS)


def test_every_row_has_its_own_limit():
    requests = [ASKED["search"][0]] * 4
    out = tiny_world.call("recommend", **to_arrays(requests, 1000), limit=np.array([2, 7, 0, 1], np.int32))
    # 0 stands for the task's own limit, 5.
    assert out["item_ids"].shape == (4, 7)
    assert (out["item_ids"] != b"").sum(1).tolist() == [2, 7, 5, 1]
    assert (out["item_ids"][0, :2] == out["item_ids"][1, :2]).all()
    assert (np.isfinite(out["scores"]) == (out["item_ids"] != b"")).all()
