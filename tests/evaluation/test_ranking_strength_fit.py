"""The ranking strength fitted after training."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import METRICS, metric_values, rank_of_target
from unified_ranker.evaluation.protocol import window
from unified_ranker.evaluation.ranking_strength_fit import STRENGTHS, choose, fit_strength
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture(scope="module")
def asked():
    world, config, trained = tiny_world.prepared(), tiny_world.config(), tiny_world.trained()
    examples = world.between(*window(world, "test"))
    return RequestEncoder(trained.model, world, trained.quality), CandidateRules(world, config), examples


@pytest.mark.parametrize("task", ["home_feed", "search"])
def test_the_declared_strength_gives_what_the_service_answers(asked, task):
    encoder, rules, examples = asked
    requests = examples.take(examples.task == task)
    found = fit_strength(encoder, rules, requests, task)
    ranks = rank_of_target(JointScorer(encoder, rules).score(requests), requests.item, rules.allowed(requests))
    served = metric_values(ranks)[:, METRICS.index("ndcg@10")].mean()
    assert found.ndcg[1.0] == pytest.approx(served, abs=1e-6)
    assert found.requests == len(requests)
    assert set(found.ndcg) == set(STRENGTHS)


def gains(best, requests):
    """NDCG that falls by .2 for each 1 of distance from the best strength; it helps one request and hurts the next."""
    sign = np.where(np.arange(requests) % 2, 1.0, -1.0)
    return {s: 0.6 - 0.2 * abs(s - best) + (s - 1) * sign for s in STRENGTHS}


@pytest.mark.parametrize("best", [0.0, 0.4, 0.9, 1.0, 1.7])
def test_what_the_window_says_clearly_is_taken(best):
    assert choose(gains(best, requests=400)) == best


def test_what_the_window_cannot_tell_apart_leaves_the_head_as_it_is():
    """.9 is better than 1 by .02, with a standard error of .025 on 16 requests and of .005 on 400."""
    assert choose(gains(0.9, requests=16)) == 1.0
    assert choose(dict.fromkeys(STRENGTHS, np.zeros(50))) == 1.0


def test_logits_that_are_scaled_already_are_refused(asked):
    encoder, rules, examples = asked
    config = encoder.model.config
    task = config.tasks["search"].model_copy(update={"ranking_strength": 0.5})
    encoder.model.config = config.model_copy(update={"tasks": {**config.tasks, "search": task}})
    try:
        with pytest.raises(ValueError, match=r"`ranking_strength` of `search` must be 1 to be fitted. Received: 0.5"):
            fit_strength(encoder, rules, examples, "search")
    finally:
        encoder.model.config = config
