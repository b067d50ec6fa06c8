"""Recorded requests through towers and head: how they are cut into chunks changes nothing."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation import scoring
from unified_ranker.evaluation.candidates import CandidateRules

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture(scope="module")
def requests():
    """Early ones, whose histories have every length from none on."""
    requests = tiny_world.prepared().examples.take(np.arange(120))
    assert len(set(requests.history_length)) > 4
    return requests


def scores(requests, monkeypatch, chunk):
    monkeypatch.setattr(scoring, "CHUNK", chunk)
    trained, prepared, config = tiny_world.trained(), tiny_world.prepared(), tiny_world.config()
    encoder = scoring.RequestEncoder(trained.model, prepared, trained.quality)
    return scoring.JointScorer(encoder, CandidateRules(prepared, config)).score(requests)


def test_requests_with_histories_of_any_length_score_as_they_do_together(requests, monkeypatch):
    """Chunks of 7 are as wide as their longest history, and the last has fewer rows."""
    together = scores(requests, monkeypatch, len(requests))
    apart = scores(requests, monkeypatch, 7)
    np.testing.assert_allclose(apart, together, atol=1e-4)
