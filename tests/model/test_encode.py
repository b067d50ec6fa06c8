"""Encoded requests: the same by way of training, of evaluation and of the served graph."""

from dataclasses import dataclass

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.scoring import RequestEncoder
from unified_ranker.export.signature_graph import SignatureGraph
from unified_ranker.model.encode import served_states, states_of
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import build_model, make_batches

pytestmark = pytest.mark.xdist_group("tiny_model")
LENGTH = tiny_world.TOWERS["user"]["history_length"]
EPOCHS = 4


@dataclass
class Built:
    """A model with what encodes requests for evaluation and serving."""

    model: UnifiedRanker
    quality: QualityAsOf


@pytest.fixture(scope="module", params=["personal", "nobody known", "less of the request"])
def built(request):
    if request.param == "personal":
        return Built(tiny_world.trained().model, tiny_world.trained().quality)
    changes = {"nobody known": {"user": {"personal": False}}, "less of the request": {"context": {"fields": ["query"]}}}
    config, world = tiny_world.config(**changes[request.param]), tiny_world.prepared()
    model, _, quality = build_model(world, config, world.split.validation_end)
    return Built(model, quality)


@pytest.fixture(scope="module")
def requests():
    """Examples of the fit window, of every task; some are anonymous, and histories have every length."""
    world = tiny_world.prepared()
    requests = world.between(None, world.split.validation_end)
    assert set(requests.task) == set(tiny_world.TASKS)
    assert (requests.user == -1).any()
    assert set(range(LENGTH + 2)) <= set(requests.history_length.tolist())
    assert len(set(requests.timestamp.tolist())) == len(requests), "the time of a request tells it from the others"
    return requests


def columns_of(states):
    """Columns of several batches by name, with masked histories and last events as wide as the longest."""
    parts, read = [], tiny_world.config().towers.ranker.events_read
    for state in states:
        part = {name: np.asarray(column) for name, column in state.by_name().items()}
        part["history"] = part["history"] * part["history_mask"][..., None]
        for name in ("history", "history_mask"):
            room = np.zeros((len(part[name]), LENGTH, *part[name].shape[2:]), part[name].dtype)
            inside = part[name][:, :LENGTH]
            room[:, : inside.shape[1]] = inside
            assert not part[name][:, LENGTH:].any()
            part[name] = room
        for name, blank in (("signals/recent", -1), ("signals/recent_time", 0)):
            behind = [(0, 0), (0, read - part[name].shape[1])]
            part[name] = np.pad(part[name], behind, constant_values=blank)
        parts.append(part)
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


@pytest.fixture(scope="module")
def by_evaluation(built, requests):
    chunks = RequestEncoder(built.model, tiny_world.prepared(), built.quality).chunks(requests)
    return columns_of([chunk.state for chunk in chunks])


@pytest.fixture(scope="module")
def by_serving(built, requests):
    arrays = request_arrays(requests, tiny_world.prepared(), 1000)
    if built.model is tiny_world.trained().model:
        return columns_of([states_of(tiny_world.call("encode", **arrays))])
    served = SignatureGraph(built.model, built.model.item_vectors().numpy())
    return columns_of([states_of(served.encode(**{name: tf.constant(array) for name, array in arrays.items()}))])


@pytest.fixture(scope="module")
def by_training(built, requests):
    """Every state that the ranking objective is given in some epochs."""
    model, states = built.model, []
    objective = model.ranking
    with pytest.MonkeyPatch.context() as patch:
        for name in ("query_tokens", "query_words"):
            patch.setattr(model, name, getattr(model, name))
        patch.setattr(objective, "examples", len(requests))
        call = objective.call
        patch.setattr(
            objective, "call", lambda state, *rest, **more: states.append(state) or call(state, *rest, **more)
        )
        batches = make_batches(tiny_world.prepared(), requests, model)
        for epoch in range(EPOCHS):
            for batch in batches.epoch(epoch):
                model.compute_loss({name: tf.constant(c) for name, c in batch.by_name().items()}, training=False)
        model.reset_metrics()
    return columns_of(states)


def test_evaluation_encodes_as_the_served_graph_does(by_evaluation, by_serving):
    for name, column in by_evaluation.items():
        np.testing.assert_allclose(column, by_serving[name], atol=1e-5, err_msg=name)


def test_training_encodes_as_evaluation_does(built, requests, by_training, by_evaluation):
    """An example whose window begins later sees fewer events than there are; the others see what serving sees."""
    assert len(by_training["timestamp"]) == EPOCHS * len(requests), "every example in every epoch"
    order = np.argsort(requests.timestamp)
    row = order[np.searchsorted(requests.timestamp, by_training["timestamp"], sorter=order)]
    seen = by_training["history_mask"].sum(1)
    whole = np.flatnonzero(seen == by_evaluation["history_mask"][row].sum(1))
    personal = built.model.config.towers.user.personal
    assert set(seen[whole]) == (set(range(LENGTH + 1)) if personal else {0})
    assert set(requests.task[row[whole]]) == set(tiny_world.TASKS)
    assert len(whole) > len(row) / 4
    for name, column in by_training.items():
        np.testing.assert_allclose(column[whole], by_evaluation[name][row[whole]], atol=1e-5, err_msg=name)


def test_the_states_tell_requests_apart(by_evaluation):
    """Without this, all of the above would hold of a model that encodes nothing."""
    assert len(np.unique(by_evaluation["embedding"].round(3), axis=0)) > tiny_world.ITEMS


def test_served_names_are_those_of_every_release(by_serving):
    state = EncodedState.of_names(by_serving)
    served = served_states(state)
    assert sorted(served) == sorted(
        f"state_{name}"
        for name in ("embedding", "source", "context", "task", "timestamp", "history", "history_mask", "words",
                     "source_item", "recent", "recent_time")
    )  # fmt: skip
    again = states_of({**served, "candidate_ids": None})
    # `task` and `timestamp` are those of the signals, too.
    for name, column in state.by_name().items():
        np.testing.assert_array_equal(again.by_name()[name], column, err_msg=name)
