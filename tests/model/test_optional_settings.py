"""All optional settings at once, trained and served: the served graph equals the trained one and has stock ops only."""

import tempfile
from itertools import zip_longest
from pathlib import Path

import numpy as np
import pytest
import tiny_world
from encoded_toy import encoded_state
from signal_toy import signal_request

from unified_ranker.core.request import state_arrays
from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.savedmodel import load_served, save_model
from unified_ranker.model.encode import states_of
from unified_ranker.model_server.stock_ops import foreign_ops, ops_of
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import train

pytestmark = pytest.mark.xdist_group("tiny_model")
RAMP = {"negatives": {"type": "sampled", "uniform": 6, "hard": 3, "hard_after": 0.3, "hard_ramp": 0.4}}
CONFIG = tiny_world.config(
    {"epochs": 3, "batch_examples": 400, "older_windows": 0.5},
    item={"age_gate": True, "id_mask_rate": 0.0, "quality": {"popularity": {"type": "popularity"}}},
    user={"encoder": {"type": "hstu", "layers": 2, "heads": 2, "dropout": 0.0, "pooling": "last"}},
    ranker={"type": "ple", "own_experts": 2},
    search={**RAMP, "serving": {"candidates": 12, "limit": 5, "sources": ["lexical"]}},
    more_like_this={"serving": {"candidates": 12, "limit": 5, "sources": []}},
    home_feed={"quality_weights": {"popularity": 0.1}},
)


@pytest.fixture(scope="module")
def trained(eagerly, tmp_path_factory):
    return train(tiny_world.prepared(), CONFIG, tmp_path_factory.mktemp("settings"))


@pytest.fixture(scope="module")
def examples(trained):
    return tiny_world.prepared().between(trained.fit_end, None)


@pytest.fixture(scope="module")
def saved(trained):
    with tempfile.TemporaryDirectory() as directory:
        save_model(trained.model, trained.model.item_vectors().numpy(), Path(directory))
        yield Path(directory)


@pytest.fixture(scope="module")
def served(saved):
    """The signatures of the saved model."""
    return load_served(saved)


@pytest.fixture(scope="module")
def encoded(served, examples):
    arrays = request_arrays(examples, tiny_world.prepared(), 8)
    encode = served["encode"]
    return {k: v.numpy() for k, v in encode(**{name: tf.constant(array) for name, array in arrays.items()}).items()}


def test_the_job_learns_and_its_ramp_is_at_its_end(trained):
    assert trained.curves["loss"][-1] < trained.curves["loss"][0]
    assert trained.model.retrieval.objectives[-1].progress().numpy() == 1.0
    assert np.abs(trained.model.item_tower.age_gate.numpy() - 2.0).max() > 0.01
    assert np.abs(trained.model.head.own_bias.numpy()[1:]).max() > 0


def test_served_states_are_those_of_the_trained_model(trained, examples, encoded):
    encoder = RequestEncoder(trained.model, tiny_world.prepared(), trained.quality)
    assert len(examples) == len(encoded["state_embedding"])
    for name in ("embedding", "context", "source"):
        state = np.concatenate([getattr(chunk.state, name) for chunk in encoder.chunks(examples)])
        np.testing.assert_allclose(encoded[f"state_{name}"], state, atol=2e-5)


def test_served_scores_are_those_of_the_trained_model(trained, examples, encoded, served):
    """Without freshness quality is that of the release, for all."""
    items = np.array(tiny_world.prepared().item_ids, object)
    states = {name: tf.constant(value) for name, value in state_arrays(encoded).items()}
    found = served["rank_encoded"](**states, candidate_ids=tf.constant(np.tile(items, (len(examples), 1))))
    state = states_of(states)
    everything = tf.tile(tf.range(len(items), dtype=tf.int64)[None], [len(examples), 1])
    vectors = tf.tile(trained.model.item_vectors()[None], [len(examples), 1, 1])
    quality = tf.tile(tf.constant(trained.model.catalogue.quality)[None], [len(examples), 1, 1])
    signals = trained.model.signals.features(state.signals, everything)
    score, _, retrieval = trained.model.rank(state, vectors, quality, signals)
    np.testing.assert_allclose(found["score"], score, atol=1e-4)
    np.testing.assert_allclose(found["retrieval_score"], retrieval, atol=1e-4)


def test_served_items_are_those_of_the_trained_model(trained, served):
    vectors = embed_catalogue(served, tiny_world.prepared(), CONFIG)
    np.testing.assert_allclose(vectors[:, :8], trained.model.item_vectors(), atol=1e-5)


def test_each_task_has_its_own_sources(trained, examples, encoded):
    """The popular are proposed to every task; signals beside them to some, none or all of the tasks."""
    signals, words = (
        trained.model.signals,
        {
            name: encoded[f"state_{name}"]
            for name in ("words", "source_item", "recent", "recent_time", "task", "timestamp")
        },
    )
    asked = signal_request(len(examples), **words)
    lists = {
        kind.type: part.numpy()
        for kind, part in zip(CONFIG.towers.ranker.signals, signals.proposals_by_signal(asked), strict=True)
    }
    popular = trained.model.trending.numpy()[0]
    names = [*tiny_world.prepared().item_ids, ""]
    numbers = {name.encode(): number for number, name in enumerate(names)}
    met = set()
    for row, proposed in enumerate(encoded["proposed_ids"]):
        task = examples.task[row]
        declared = CONFIG.tasks[task].serving.sources
        heard = [own[row] for kind, own in lists.items() if declared is None or kind in declared]
        most = int(0.8 * CONFIG.tasks[task].serving.candidates)
        turns = [n for turn in zip_longest(*heard, popular, fillvalue=-1) for n in turn if n >= 0]
        assert [numbers[name] for name in proposed if name] == list(dict.fromkeys(turns))[:most]
        met.add((task, len(heard), any((own >= 0).any() for own in heard)))
    assert {("search", 1, True), ("more_like_this", 0, False), ("home_feed", 5, True)} <= met


def test_sources_do_not_change_what_is_learnt(trained):
    signals = signal_request(
        4,
        words=trained.model.query_words[:4],
        source_item=[1, 2, 3, 4],
        recent=[[0, 1], [1, 2], [2, 3], [3, 4]],
    )
    state = encoded_state(4, task=tf.constant([1, 2, 3, 0], tf.int64), signals=signals)
    learnt, served = trained.model.signals.proposals(signals).numpy(), trained.model.proposals(state).numpy()
    popular = set(trained.model.trending.numpy()[0])
    assert set(served[1]) <= popular | {-1}
    assert (learnt[1] >= 0).any()
    for row in (2, 3):
        assert set(learnt[row]) <= set(served[row]) | {-1}


def test_the_graph_is_of_stock_ops(saved):
    assert foreign_ops(ops_of(saved)) == []


def test_an_item_of_a_batch_is_as_of_the_last_request_that_it_answers(trained):
    times, items = tf.constant([500, 900, 700], tf.int64), tf.constant([4, 4, 6], tf.int64)
    for ids, places in ((None, (4, 6)), (tf.constant([2, 4, 5, 6], tf.int64), (1, 3))):
        moments = trained.model._moments(items, times, ids).numpy()
        assert moments[list(places)].tolist() == [900, 700]
        assert set(moments.tolist()) <= set(times.numpy().tolist())
