"""Recorded requests through towers and head: how they are cut into chunks changes nothing."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture(scope="module")
def requests():
    """Early ones, whose histories have every length from none on."""
    requests = tiny_world.prepared().examples.take(np.arange(120))
    assert len(set(requests.history_length)) > 4
    return requests


def test_requests_with_histories_of_any_length_score_as_they_do_together(requests):
    """A chunk is as wide as its longest history, and seven at a time have chunks of their own."""
    trained, prepared = tiny_world.trained(), tiny_world.prepared()
    encoder = RequestEncoder(trained.model, prepared, trained.quality)
    scorer = JointScorer(encoder, CandidateRules(prepared, tiny_world.config()))
    together = scorer.score(requests)
    rows = np.arange(len(requests))
    apart = np.concatenate([scorer.score(requests.take(rows[n : n + 7])) for n in range(0, len(rows), 7)])
    np.testing.assert_allclose(apart, together, atol=1e-4)
