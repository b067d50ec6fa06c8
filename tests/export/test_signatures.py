"""The served model: its signatures against NumPy, against each other, and against the model that was trained."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny_world
from random_model import AsReleased
from tiny_world import DIM, FRESHNESS, LENGTH, QUALITY, STATES, everything, states

from unified_ranker.core.array_module import NUMPY
from unified_ranker.core.proposal_rule import proposed_mask, raised
from unified_ranker.core.request import Request, to_arrays
from unified_ranker.core.times import DAY
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer
from unified_ranker.model.lookups import look_up_requests
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.towers.served_columns import read_features
from unified_ranker.towers.tensorflow import tf

pytestmark = pytest.mark.xdist_group("tiny_model")

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


# --- popularity as of now ----------------------------------------------------------------------------------------


def test_with_the_releases_own_lists_it_proposes_what_encode_proposes(world, arrays, encoded):
    lists = np.repeat(tiny_world.trained().model.trending.numpy()[None], len(arrays["task"]), 0)
    live = tiny_world.call("encode_live", **arrays, trending=lists)
    assert live.keys() ^ encoded.keys() == {"proposed", "proposed_ids"}
    names = np.where(live["proposed"] < 0, "", world.item_ids[live["proposed"]].astype(str))
    np.testing.assert_array_equal(names, encoded["proposed_ids"].astype(str))
    for name, values in states(encoded).items():
        np.testing.assert_array_equal(live[name], values)


def test_items_that_came_later_are_proposed_by_their_numbers(arrays):
    lists = np.full((len(arrays["task"]), 2, TRENDING), -1)
    lists[:, 1, 0] = tiny_world.ITEMS + 7
    proposed = tiny_world.call("encode_live", **arrays, trending=lists)["proposed"]
    assert ((proposed == tiny_world.ITEMS + 7).sum(1) == 1).all()


def test_a_candidate_is_ranked_by_the_popularity_that_is_given(world, arrays, encoded, ranked):
    """NaN stands for the release's own; of the two popularities `trend` alone is given here."""
    rows, items = len(arrays["task"]), len(world.item_ids)
    popularity = np.full((rows, items, 2), np.nan, np.float32)
    none = {"live_place": np.full((rows, items), -1, np.int32), "live_vectors": np.zeros((rows, 0, DIM + QUALITY), "f")}
    given = {**states(encoded), "candidate_ids": everything(world, rows), **none}
    same = tiny_world.call("rank_live", **given, popularity=popularity)
    np.testing.assert_allclose(same["score"], ranked["score"], atol=1e-5)
    popularity[:, 3, 1] = 2.0
    other = tiny_world.call("rank_live", **given, popularity=popularity)
    changed = np.abs(other["click"] - ranked["click"]) > 1e-7
    assert changed[:, 3].mean() > 0.5
    assert not np.delete(changed, 3, axis=1).any()


def test_a_candidate_is_ranked_by_the_title_that_is_given(world, arrays, encoded, vectors):
    """With the titles of the release it is `rank_live`, which reads those; then one candidate has another title."""
    rows, items = len(arrays["task"]), len(world.item_ids)
    place = np.tile(np.arange(items, dtype=np.int32), (rows, 1))
    titles = np.tile(world.items["title"].fillna("").to_numpy(object), (rows, 1))
    given = {**states(encoded), "candidate_ids": everything(world, rows), "live_place": place}
    given["live_vectors"] = np.repeat(vectors[None], rows, 0)
    given["popularity"] = np.full((rows, items, 2), np.nan, np.float32)
    same = tiny_world.call("rank_titled", **given, live_titles=titles)
    np.testing.assert_allclose(same["score"], tiny_world.call("rank_live", **given)["score"], atol=1e-4)
    titles[:, 3] = "words that nobody has typed"
    other = tiny_world.call("rank_titled", **given, live_titles=titles)
    changed = np.abs(other["click"] - same["click"]) > 1e-7
    assert changed[:, 3].any()
    assert not np.delete(changed, 3, axis=1).any()


def test_known_candidates_are_ranked_by_their_indices_as_by_their_ids(world, arrays, encoded, ranked):
    """The popularity of some is given, and two slots of each request hold no candidate."""
    rows, items = len(arrays["task"]), len(world.item_ids)
    popularity = np.full((rows, items, 2), np.nan, np.float32)
    popularity[:, 3] = 0.5
    none = {"live_place": np.full((rows, items), -1, np.int32), "live_vectors": np.zeros((rows, 0, DIM + QUALITY), "f")}
    indices, ids = np.tile(np.arange(items), (rows, 1)), everything(world, rows)
    indices[:, 5:7], ids[:, 5:7] = -1, ""
    given = {**states(encoded), "popularity": popularity}
    known = tiny_world.call("rank_known", **given, candidates=indices)
    named = tiny_world.call("rank_live", **given, candidate_ids=ids, **none)
    assert known.keys() == named.keys() == ranked.keys()
    for name, values in named.items():
        np.testing.assert_allclose(known[name], values, atol=1e-5)
    assert np.abs(known["score"] - ranked["score"]).max() > 1e-3, "popularity counts"


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
    fields = {name: column[-1:] for name, column in read_features(world.items, config.towers.item.features).items()}
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


@pytest.fixture(scope="module")
def encoder(world):
    trained = tiny_world.trained()
    return RequestEncoder(trained.model, world, AsReleased(trained.quality, trained.fit_end))


def test_served_two_tower_scores_are_those_of_the_trained_model(world, examples, encoder, encoded, vectors):
    scores = TwoTowerScorer(encoder).score(examples)
    there = world.created_at[None] <= examples.timestamp[:, None]
    served = encoded["query_vector"] @ vectors.T
    np.testing.assert_allclose(served[there], scores[there], atol=2e-5)


def test_served_ranker_scores_are_those_of_the_trained_model(world, examples, encoder, ranked):
    model = tiny_world.trained().model
    vectors, begin = model.item_vectors()[None], 0
    nonzero = np.zeros(len(model.signals.learnt), bool)
    for chunk in encoder.chunks(examples):
        rows = slice(begin, begin := begin + len(chunk.scores))
        items = tf.tile(vectors, [len(chunk.scores), 1, 1])
        everything = tf.tile(tf.range(len(world.items), dtype=tf.int64)[None], [len(chunk.scores), 1])
        signals = model.signals.features(chunk.state.signals, everything)
        nonzero |= (np.abs(signals) > 0).any((0, 1))
        quality = tf.constant(encoder.quality.matrix(chunk.time))
        score, logits, _ = model.rank(chunk.state, items, quality, signals)
        np.testing.assert_allclose(ranked["score"][rows], score, atol=1e-4)
        chances = model.head_outputs(logits, chunk.state.task).numpy()
        for number, head in enumerate(("click", "buy", "like")):
            np.testing.assert_allclose(ranked[head][rows], chances[..., number], atol=1e-4)
    assert begin == len(examples)
    assert nonzero.all(), "every signal has something to say here"


def test_the_joint_scorer_puts_the_ranked_candidates_first(world, config, examples, encoder, ranked):
    rules = CandidateRules(world, config)
    scores, towers = JointScorer(encoder, rules).score(examples), TwoTowerScorer(encoder).score(examples)
    mask, first_stage = rules.allowed(examples), towers.copy()
    model = tiny_world.trained().model
    proposals = np.concatenate([model.proposals(chunk.state) for chunk in encoder.chunks(examples)])
    first_stage = raised(first_stage, proposed_mask(proposals, len(world.items)), NUMPY)
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
    looked_up, queries = look_up_requests(world, examples, model)
    served = encoded["imputed_query"].astype(str)
    # `query` numbers the distinct texts in ascending order.
    np.testing.assert_array_equal(np.sort(np.unique(served.astype("S")))[queries.number], served.astype("S"))
    similar = examples.task == "more_like_this"
    assert (served[similar & (examples.history_length > 0)] != "").all()
    np.testing.assert_array_equal(served[~similar], examples.query[~similar])
    source = np.where(looked_up.source >= 0, looked_up.source, 0)
    imputed = model.item_vectors().numpy()[source] * (looked_up.source >= 0)[:, None]
    np.testing.assert_allclose(encoded["state_source"], imputed, atol=1e-6)


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
        "rank_live": sorted(
            [*(f"state_{name}" for name in STATES), "candidate_ids", "live_place", "live_vectors", "popularity"]
        ),
        "rank_titled": sorted(
            [
                *(f"state_{name}" for name in STATES),
                *("candidate_ids", "live_place", "live_titles", "live_vectors", "popularity"),
            ]
        ),
        "rank_known": sorted([*(f"state_{name}" for name in STATES), "candidates", "popularity"]),
        "encode_live": sorted([*fields, "trending"]),
        "recommend": sorted([*fields, "limit"]),
        "embed_items": ["categories", "created_at", "item_id", "price", "title"],
    }


def test_the_training_code_is_left_behind():
    from tensorflow.core.protobuf import saved_model_pb2

    saved = saved_model_pb2.SavedModel.FromString((Path(tiny_world.saved_model().name) / "saved_model.pb").read_bytes())
    kinds = {node.user_object.identifier for node in saved.meta_graphs[0].object_graph_def.nodes}
    assert not [kind for kind in kinds if "keras" in kind]
