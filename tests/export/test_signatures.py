"""The served model: its signatures against NumPy, against each other, and against the model that was trained."""

import dataclasses
import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_world

from unified_ranker.data.quality import DAY
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer, put_first
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.requests import History, Request, request_arrays, to_arrays
from unified_ranker.lookups import look_up_examples
from unified_ranker.tensorflow import tf
from unified_ranker.towers.item import item_fields

pytestmark = pytest.mark.xdist_group("tiny_model")
LENGTH, DIM, QUALITY = 8, 8, 4
FRESHNESS = 3
STATES = (
    "embedding", "source", "context", "task", "history", "history_mask", "timestamp",
    "words", "source_item", "recent",
)  # fmt: skip


@pytest.fixture(scope="module")
def world():
    return tiny_world.prepared()


@pytest.fixture(scope="module")
def config():
    return tiny_world.config()


@pytest.fixture(scope="module")
def vectors(world, config):
    return embed_catalogue(Path(tiny_world.saved_model().name), world, config)


@pytest.fixture(scope="module")
def examples(world):
    """Examples of all tasks, some from the fit window; among them are anonymous ones and some without a history."""
    late = tiny_world.late_examples()
    early = world.examples.take(np.arange(40))
    columns = {f.name: np.concatenate([getattr(e, f.name) for e in (early, late)]) for f in dataclasses.fields(early)}
    examples = type(early)(**columns)
    assert {len(set(column)) > 1 for column in (examples.task, examples.user == -1, examples.history_length)} == {True}
    assert examples.history_length.min() == 0
    return examples


@pytest.fixture(scope="module")
def arrays(world, examples):
    return request_arrays(examples, world, 1000)


@pytest.fixture(scope="module")
def encoded(arrays):
    return tiny_world.call("encode", **arrays)


def states(encoded):
    return {f"state_{name}": encoded[f"state_{name}"] for name in STATES}


def everything(world, rows):
    return np.tile(world.item_ids, (rows, 1))


@pytest.fixture(scope="module")
def ranked(world, arrays):
    rows = len(arrays["task"])
    return tiny_world.call("rank", **arrays, candidate_ids=everything(world, rows))


# --- signatures against each other --------------------------------------------------------------------------------


def test_encode_and_rank_encoded_are_rank(world, encoded, ranked):
    rows = len(encoded["imputed_query"])
    apart = tiny_world.call("rank_encoded", **states(encoded), candidate_ids=everything(world, rows))
    assert set(apart) == {"score", "retrieval_score", "click", "buy", "like"} == set(ranked)
    for name, values in ranked.items():
        assert values.shape == (rows, len(world.item_ids))
        np.testing.assert_allclose(apart[name], values, atol=1e-6)


def test_rank_is_the_default(arrays, ranked, world):
    default = tiny_world.call("serving_default", **arrays, candidate_ids=everything(world, len(arrays["task"])))
    np.testing.assert_array_equal(default["score"], ranked["score"])


def test_heads_are_probabilities(ranked):
    for head in ("click", "buy", "like"):
        assert ((ranked[head] >= 0) & (ranked[head] <= 1)).all()
        assert 0.01 < ranked[head].mean() < 0.99


def test_the_retrieval_score_is_the_dot_product_with_the_stored_vector(world, examples, encoded, ranked, vectors):
    there = world.created_at[None] <= examples.timestamp[:, None]
    scores = encoded["query_vector"] @ vectors.T
    np.testing.assert_allclose(scores[there], ranked["retrieval_score"][there], atol=1e-4)


def test_a_request_does_not_depend_on_its_batch(world, arrays, encoded):
    for row in (0, 17, 60):
        alone = tiny_world.call("encode", **{name: column[row : row + 1] for name, column in arrays.items()})
        np.testing.assert_allclose(alone["query_vector"][0], encoded["query_vector"][row], rtol=1e-5, atol=1e-5)


# --- embed_items --------------------------------------------------------------------------------------------------


def test_a_known_item_has_its_stored_vector(vectors):
    model = tiny_world.trained().model
    np.testing.assert_allclose(vectors[:, :DIM], model.item_vectors(), atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(vectors[:, :DIM], axis=1), 1, atol=1e-5)
    assert vectors.shape == (tiny_world.ITEMS, DIM + QUALITY)


def test_the_stored_quality_is_that_of_the_end_of_the_fit_window(world, vectors):
    trained = tiny_world.trained()
    expected = trained.quality.matrix(np.array([trained.fit_end]))[0]
    known = world.created_at <= trained.fit_end
    np.testing.assert_allclose(vectors[known, DIM:], expected[known], atol=1e-5)


def test_an_item_that_nobody_has_seen(world, config, vectors):
    model = tiny_world.trained().model
    fields = {name: column[-1:] for name, column in item_fields(world.items, config.towers.item).items()}
    created = world.created_at[-1:]
    new = tiny_world.call("embed_items", item_id=np.array(["new"], object), created_at=created, **fields)
    # The twins have the same content, no id of their own either, and were created at the same time.
    np.testing.assert_allclose(new["item_vector"][0, :DIM], vectors[-1, :DIM], atol=1e-6)
    unseen = model.catalogue.quality_unseen
    np.testing.assert_allclose(new["item_vector"][0, DIM : DIM + FRESHNESS], unseen[:FRESHNESS], atol=1e-6)
    np.testing.assert_allclose(new["item_vector"][0, -1], vectors[-1, -1], rtol=1e-5)


def test_an_item_of_which_nothing_is_known():
    nothing = {"title": [""], "categories": [[""]], "price": np.array([np.nan], np.float32)}
    out = tiny_world.call("embed_items", item_id=[""], created_at=np.array([0]), **nothing)["item_vector"]
    assert np.isfinite(out).all()
    assert out[0, -1] == 0
    np.testing.assert_allclose(np.linalg.norm(out[:, :DIM]), 1, atol=1e-5)


def test_an_item_from_before_1970_has_an_age(world, config):
    scale = config.towers.item.quality["freshness"].scale_days * DAY
    end = int(world.events.timestamp.max())
    out = tiny_world.call(
        "embed_items",
        item_id=["x", "y"],
        created_at=np.array([-DAY, end - int(scale)]),
        title=["", ""],
        categories=[[""], [""]],
        price=np.array([1, 1], np.float32),
    )["item_vector"]
    np.testing.assert_allclose(out[:, -1], [np.exp(-60), np.exp(-1)], rtol=1e-3)


def test_young_items_keep_their_vectors_small(world, vectors):
    """An index squares what it stores: the newest items of a log, or of the far future, must not drown the rest."""
    assert vectors[:, -1].max() <= 1
    fields = {"title": [""], "categories": [[""]], "price": np.array([1], np.float32)}
    later = np.array([int(world.events.timestamp.max()) + 10_000 * DAY])
    out = tiny_world.call("embed_items", item_id=["x"], created_at=later, **fields)["item_vector"]
    assert 1 < out[0, -1] < 1e9


# --- freshness ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("days", [-40, -3, 0, 1, 20, 100])
def test_the_dot_product_has_freshness_as_of_the_request(world, config, vectors, days):
    """Whatever the age of the release: embedding · vector + Σ weight · quality, with NumPy's freshness."""
    trained = tiny_world.trained()
    time = trained.fit_end + days * DAY
    requests = [Request("u01", task, "amber lamp", timestamp=time) for task in config.tasks]
    encoded = tiny_world.call("encode", **to_arrays(requests, LENGTH))
    quality = trained.quality.matrix(np.array([trained.fit_end]))[0]
    quality[:, FRESHNESS] = trained.quality.matrix(np.array([time]))[0][:, FRESHNESS]
    weights = np.array([[0, 0, 0, 0], [0, 0, 0, 0.05], [0.1, 0, 0, 0.05]])
    expected = encoded["state_embedding"] @ vectors[:, :DIM].T + weights @ quality.T
    there = world.created_at <= time
    found = encoded["query_vector"] @ vectors.T
    np.testing.assert_allclose(found[:, there], expected[:, there], atol=2e-5)
    scored = tiny_world.call("rank_encoded", **states(encoded), candidate_ids=everything(world, len(requests)))
    np.testing.assert_allclose(scored["retrieval_score"], expected, atol=2e-5)


# --- serving against training -------------------------------------------------------------------------------------


class AsReleased:
    """Quality as the release has it: counts as of the end of the fit window, freshness as of the request."""

    def __init__(self, trained):
        self._quality, self._end = trained.quality, trained.fit_end
        self.features = self._quality.features

    def matrix(self, times):
        counts = np.repeat(self._quality.matrix(np.array([self._end])), len(times), 0)
        counts[..., FRESHNESS] = self._quality.matrix(times)[..., FRESHNESS]
        return counts

    def weighed(self, times, weights):
        return np.einsum("nq,niq->ni", weights, self.matrix(times))

    def gather(self, item, time):
        moments, row = np.unique(time, return_inverse=True)
        return self.matrix(moments)[row, item]


@pytest.fixture(scope="module")
def encoder(world):
    trained = tiny_world.trained()
    return RequestEncoder(trained.model, world, AsReleased(trained))


def test_served_two_tower_scores_are_those_of_the_trained_model(world, examples, encoder, encoded, vectors):
    scores = TwoTowerScorer(encoder).score(examples)
    there = world.created_at[None] <= examples.timestamp[:, None]
    served = encoded["query_vector"] @ vectors.T
    np.testing.assert_allclose(served[there], scores[there], atol=2e-5)


def test_served_ranker_scores_are_those_of_the_trained_model(world, examples, encoder, ranked):
    model = tiny_world.trained().model
    vectors, begin = model.item_vectors()[None], 0
    told = np.zeros(model.signals.channels, bool)
    for chunk in encoder.chunks(examples):
        rows = slice(begin, begin := begin + len(chunk.scores))
        items = tf.tile(vectors, [len(chunk.scores), 1, 1])
        everything = tf.tile(tf.range(len(world.items), dtype=tf.int64)[None], [len(chunk.scores), 1])
        signals = model.signals.features(chunk.state, everything)
        told |= (np.abs(signals) > 0).any((0, 1))
        quality = tf.constant(encoder.quality.matrix(chunk.time))
        score, logits, _ = model.rank(chunk.state, items, quality, signals)
        np.testing.assert_allclose(ranked["score"][rows], score, atol=1e-4)
        chances = model.probabilities(logits, chunk.state["task"]).numpy()
        for number, head in enumerate(("click", "buy", "like")):
            np.testing.assert_allclose(ranked[head][rows], chances[..., number], atol=1e-4)
    assert begin == len(examples)
    assert told.all(), "every signal has something to say here"


def test_the_joint_scorer_puts_the_ranked_candidates_first(world, config, examples, encoder, ranked):
    rules = CandidateRules(world, config)
    scores, towers = JointScorer(encoder, rules).score(examples), TwoTowerScorer(encoder).score(examples)
    mask, first_stage = rules.allowed(examples), towers.copy()
    signals = tiny_world.trained().model.signals
    put_first(first_stage, np.concatenate([signals.proposals(chunk.state) for chunk in encoder.chunks(examples)]))
    assert not np.array_equal(first_stage, towers)
    for row, allowed in enumerate(mask):
        retrieved = np.argsort(-np.where(allowed, first_stage[row], -np.inf), kind="stable")[:12]
        first = np.argsort(-scores[row], kind="stable")[:12]
        assert allowed[first].all()
        # By their scores, because the twins may stand for each other.
        for scored in (towers, ranked["score"]):
            np.testing.assert_allclose(np.sort(scored[row, first]), np.sort(scored[row, retrieved]), atol=1e-4)
        assert (np.diff(ranked["score"][row, first]) <= 1e-4).all()


def test_imputation_is_the_same_in_training_and_serving(examples, world, encoded):
    model = tiny_world.trained().model
    looked_up, _, _ = look_up_examples(world, examples, model)
    served = encoded["imputed_query"].astype(str)
    # `query` numbers the distinct texts in ascending order.
    np.testing.assert_array_equal(np.sort(np.unique(served.astype("S")))[looked_up.query], served.astype("S"))
    similar = examples.task == "more_like_this"
    assert (served[similar & (examples.history_length > 0)] != "").all()
    np.testing.assert_array_equal(served[~similar], examples.query[~similar])
    source = np.where(looked_up.source >= 0, looked_up.source, 0)
    imputed = model.item_vectors().numpy()[source] * (looked_up.source >= 0)[:, None]
    np.testing.assert_allclose(encoded["state_source"], imputed, atol=1e-6)


# --- history ------------------------------------------------------------------------------------------------------


NOW = int(tiny_world.START.timestamp()) + tiny_world.DAYS * DAY


def events(count, first=NOW - 100 * 3600, every=3600):
    return [
        {
            "item_id": f"i{n % 18:02}",
            "event_type": "click",
            "task": "search",
            "timestamp": first + n * every,
            "value": n % 6,
        }
        for n in range(count)
    ]


def encode(*requests, width=1000):
    return tiny_world.call("encode", **to_arrays(requests, width))


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
    assert_same(one, tiny_world.call("encode", **raw(request, whole[-LENGTH:])))
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


# --- what TF Serving gets -----------------------------------------------------------------------------------------

LOAD = """
import json, sys
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2
from tensorflow.python.framework import op_def_registry
directory = sys.argv[1]
loaded = tf.saved_model.load(directory, tags=["serve"])
saved = saved_model_pb2.SavedModel.FromString(open(directory + "/saved_model.pb", "rb").read())
[graph] = saved.meta_graphs
ops = {n.op for n in graph.graph_def.node}
ops |= {n.op for f in graph.graph_def.library.function for n in f.node_def}
functions = {f.signature.name for f in graph.graph_def.library.function}
print(json.dumps({
    "ops": sorted(ops),
    "unknown": sorted(op for op in ops - functions if op_def_registry.get(op) is None),
    "signatures": {n: sorted(f.structured_input_signature[1]) for n, f in loaded.signatures.items()},
    "project": sorted(m for m in sys.modules if m.split(".")[0] in ("unified_ranker", "tensorflow_recommenders")),
}))
"""


@pytest.fixture(scope="module")
def elsewhere():
    """What a process that knows TensorFlow and nothing of this project finds in the SavedModel."""
    command = [sys.executable, "-I", "-c", LOAD, tiny_world.saved_model().name]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_stock_tensorflow_loads_the_model(elsewhere):
    assert elsewhere["unknown"] == []
    assert elsewhere["project"] == []
    assert not [op for op in elsewhere["ops"] if "PyFunc" in op]
    assert "StringToHashBucketFast" in elsewhere["ops"]
    assert "Einsum" in elsewhere["ops"]


def test_the_signatures_take_the_fields_of_a_request(elsewhere, arrays):
    fields = sorted(arrays)
    assert elsewhere["signatures"] == {
        "encode": fields,
        "rank": sorted([*fields, "candidate_ids"]),
        "serving_default": sorted([*fields, "candidate_ids"]),
        "rank_encoded": sorted([*(f"state_{name}" for name in STATES), "candidate_ids"]),
        "rank_live": sorted([*(f"state_{name}" for name in STATES), "candidate_ids", "live_place", "live_vectors"]),
        "recommend": sorted([*fields, "limit"]),
        "embed_items": ["categories", "created_at", "item_id", "price", "title"],
    }


def test_the_training_code_is_left_behind():
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((Path(tiny_world.saved_model().name) / "saved_model.pb").read_bytes())
    kinds = {node.user_object.identifier for node in saved.meta_graphs[0].object_graph_def.nodes}
    assert not [kind for kind in kinds if "keras" in kind]
