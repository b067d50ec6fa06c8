"""A release takes the place of another only when it answers what was lately asked in full."""

import gc
import threading
import weakref
from dataclasses import replace

import grpc
import numpy as np
import pytest
from release_toy import no_model
from service_toy import ITEMS, MODEL_NAME, RELEASE, VECTORS, ToyModel, service, write_release

from unified_ranker.core.errors import UserError
from unified_ranker.core.request import Request
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.service.counts_follower import CountsFollower
from unified_ranker.serving.service.index_keeper import IndexKeeper
from unified_ranker.serving.service.live_items import LiveItems
from unified_ranker.serving.service.releases import Releases
from unified_ranker.serving.service.served_release import STABLE

LONG = "3,1,-2"
"""The query that the other model cannot rank for."""
RECORDED = (Request("u", "home_feed", query="0.5,-1,2"), Request("v", "search", query=LONG))


class Partial(ToyModel):
    """Encodes everything and ranks all but what was asked by the query `LONG`."""

    able = True

    def __init__(self):
        super().__init__()
        self.ended = threading.Event()

    def close(self):
        self.ended.set()

    def predict(self, signature, inputs, timeout=None):
        long = inputs.get("state_query")
        if signature == "rank_encoded" and not self.able and long.tolist() == [[3.0, 1.0, -2.0]]:
            raise ModelServerError(grpc.StatusCode.INTERNAL, "no room", "host:1", MODEL_NAME, signature)
        return super().predict(signature, inputs, timeout)


@pytest.fixture
def other(tmp_path):
    """Release 1 answers, release 2 lies beside it, and what its model was and how often it was ended is noted."""
    for _ in range(2):
        write_release(tmp_path / "releases", model=no_model)
    first = replace(RELEASE, manifest=RELEASE.manifest.model_copy(update={"version": 1}))
    ranker, model = service(release=first), Partial()
    releases = Releases(ranker, tmp_path / "releases", lambda _: model, LiveItems(ranker))
    for request in RECORDED:
        ranker.recommend(request)
    return ranker, releases, model, model.ended


def test_a_release_that_answers_what_was_asked_takes_over(other):
    ranker, releases, _, ended = other
    assert releases.load(2).release == 2
    assert ranker.recommend(RECORDED[1]).release == 2
    assert not ended.is_set()


def test_a_recorded_request_that_degrades_refuses_the_release(other):
    ranker, releases, model, ended = other
    model.able = False
    with pytest.raises(UserError, match=r"release 2 must answer .* in full\. Received: `two_tower` .* task `search`"):
        releases.load(2)
    made = ranker.recommend(RECORDED[1])
    assert (made.release, made.degraded) == (1, None)
    assert ended.is_set(), "the model that was started for it has gone"
    assert 'unified_ranker_reloads_total{outcome="refused"} 1.0' in ranker.metrics.text().decode()


def test_a_model_whose_scores_are_no_numbers_is_no_pair_for_the_vectors(other):
    ranker, releases, model, ended = other
    model.broken = {"retrieval_score": np.full((1, ITEMS), np.nan, np.float32)}
    with pytest.raises(UserError, match=r"must serve the model of"):
        releases.load(2)
    assert ranker.release.version == 1
    assert ended.is_set()


def test_vectors_that_are_not_those_of_the_model_refuse_the_release(other, tmp_path):
    ranker, releases, _, ended = other
    write_release(tmp_path / "releases", model=no_model, vectors=(VECTORS[::-1] * 2).copy())
    with pytest.raises(UserError, match="differently from the stored vectors"):
        releases.load(3)
    assert ranker.recommend(RECORDED[1]).release == 1, "the one before goes on"
    assert ended.is_set()


def test_rehearsals_are_neither_counted_nor_recorded_as_asked(other):
    ranker, releases, _, _ = other
    releases.load(2)
    text = ranker.metrics.text().decode()
    assert 'unified_ranker_answers_total{label="stable",release="1",rung="full",task="search"} 1.0' in text
    assert 'unified_ranker_answers_total{label="stable",release="2"' not in text


def test_a_release_that_was_replaced_leaves_the_memory(other):
    """By its last reference: what is in service is left out of the passes of the garbage collector, its cycles, too."""
    ranker, releases, _, _ = other
    replaced = weakref.ref(ranker.engines[STABLE])
    gc.disable()
    try:
        releases.load(2)
        for thread in threading.enumerate():
            if thread.name == "retire-release":
                thread.join(20)
        assert replaced() is None
    finally:
        gc.enable()
        gc.unfreeze()


def test_gauges_of_a_canary_end_with_it(other):
    """Also where the index is just being measured, or counts are being followed, while it ends."""
    ranker, releases, _, _ = other
    releases.load(2, "canary", 0.5)
    keeper, counts = IndexKeeper(ranker), CountsFollower(ranker, None)

    def of_canary():
        # What was agreed on ends by an agreement alone.
        lines = [line for line in ranker.metrics.text().decode().splitlines() if "agreed" not in line]
        return {line.split("{")[0] for line in lines if 'label="canary"' in line and "_total" not in line}

    keeper.look()
    every = {f"unified_ranker_{name}" for name in ("release", "index_items", "index_live_items", "index_recall")}
    assert of_canary() == every
    releases.roll_back("canary")
    assert of_canary() == set()
    assert 'unified_ranker_agreed_release{label="canary"}' not in ranker.metrics.text().decode()

    releases.load(2, "canary", 0.5)
    engines = ranker.engines
    for follower in (keeper, counts):

        class EndsMeanwhile(dict):
            def values(self):
                ranker.engines = {"stable": engines["stable"]}
                ranker.metrics.counts_behind.labels("canary").set(3)
                return super().values()

        ranker.engines = EndsMeanwhile(engines)
        follower.look()
        assert of_canary() == set()
