"""Quality weights fitted after training."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import rank_of_target
from unified_ranker.evaluation.protocol import window
from unified_ranker.evaluation.quality_weight_fit import RetrievalScores, fit_weights
from unified_ranker.evaluation.scoring import RequestEncoder, TwoTowerScorer

pytestmark = pytest.mark.xdist_group("tiny_model")
FEATURES = ["popularity", "trend", "rating", "freshness"]


@pytest.fixture(scope="module")
def scores():
    world, config, trained = tiny_world.prepared(), tiny_world.config(), tiny_world.trained()
    examples = world.between(*window(world, "test"))
    feed = examples.take(examples.task == "home_feed")
    encoder, rules = RequestEncoder(trained.model, world, trained.quality), CandidateRules(world, config)
    return RetrievalScores(encoder, rules, feed), encoder, rules, feed


def test_declared_weights_give_what_the_two_towers_give(scores):
    found, encoder, rules, feed = scores
    ranks = rank_of_target(TwoTowerScorer(encoder).score(feed), feed.item, rules.allowed(feed))
    np.testing.assert_allclose(found.declared, [0.1, 0, 0, 0.05], atol=1e-6)
    for at in (1, 3, 8):
        assert found.recall(found.declared, at) == pytest.approx((ranks <= at).mean())


class Known:
    """A window whose targets are the items with the highest second feature, whatever their cosines says."""

    def __init__(self):
        rng = np.random.default_rng(2)
        self.quality = rng.random((60, 30, 2)).astype(np.float32)
        self.cosines = rng.normal(0, 0.3, (60, 30)).astype(np.float32)
        self.declared = np.array([0.5, 0.0], np.float32)
        self.target = self.quality[..., 1].argmax(1)

    def recall(self, weights, at):
        ranks = rank_of_target(self.cosines + self.quality @ weights, self.target, np.ones((60, 30), bool))
        return float((ranks <= at).mean())


def test_the_feature_that_decides_is_found():
    found = fit_weights(Known(), "feed", ["noise", "truth"], 60, seed=1, at=3)
    assert found.weights["truth"] > max(0.5, 2 * found.weights["noise"])
    assert found.recall["fitted"] > found.recall["none"] + 0.3
    assert found.requests == 60


def test_it_is_never_worse_than_what_it_begins_with():
    found = fit_weights(Known(), "feed", ["noise", "truth"], 2, seed=1, at=3)
    assert found.recall["fitted"] == max(found.recall.values())
