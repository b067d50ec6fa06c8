"""Calibration of a trained model's heads: which requests it reads, and that it moves no order."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.core.times import DAY
from unified_ranker.evaluation.calibrate import calibrate
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.diagnosis import DEPTHS, diagnose
from unified_ranker.evaluation.metrics import METRICS, metric_values, rank_of_target
from unified_ranker.evaluation.ranked_candidates import ranked_candidates
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder, TwoTowerScorer
from unified_ranker.tasks.blend import FittedBlend
from unified_ranker.tasks.head_kinds.platt import fit_platt

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture(scope="module")
def world():
    prepared, trained = tiny_world.prepared(), tiny_world.trained()
    encoder = RequestEncoder(trained.model, prepared, trained.quality)
    before = trained.model.calibration.numpy()
    yield prepared, trained, encoder, CandidateRules(prepared, trained.model.config)
    trained.model.calibration.assign(before)


def late(prepared, trained, task):
    fit = prepared.between(None, trained.fit_end)
    fit = fit.take(fit.timestamp >= np.quantile(fit.timestamp, 0.9))
    return fit.take(fit.task == task)


def of_task(prepared, trained, task):
    test = prepared.between(trained.fit_end, None)
    return test.take(test.task == task)


def test_calibrated_heads_say_how_often_a_candidate_is_chosen(world):
    prepared, trained, encoder, rules = world
    requests = of_task(prepared, trained, "search")
    scorer = JointScorer(encoder, rules)
    scores, before = scorer.score(requests), diagnose(encoder, rules, requests, "search").calibration[0]
    calibrate(trained, prepared)
    after = diagnose(encoder, rules, requests, "search").calibration[0]
    # A surface of one head keeps its order.
    np.testing.assert_array_equal(np.argsort(scorer.score(requests), kind="stable"), np.argsort(scores, kind="stable"))
    assert after.error < 0.5 * before.error
    # One of twelve candidates is the item that the query names, nearly always.
    assert after.happened == pytest.approx(1 / 12, abs=0.01)
    assert after.predicted == pytest.approx(after.happened, rel=0.25)


def test_only_the_chosen_tasks_are_calibrated(world):
    prepared, trained, _, _ = world
    trained.model.calibration.assign(np.full(trained.model.calibration.shape, 0.5))
    calibrate(trained, prepared, ["more_like_this"])
    changed = np.abs(trained.model.calibration.numpy() - 0.5).max(-1) > 1e-6
    heads = trained.model.config.heads
    assert [[h for h, on in zip(heads, row, strict=True) if on] for row in changed] == [[], [], ["click", "buy"], []]


def calibrated(trained, prepared, task, **changed):
    """The two numbers of each head of a task, from the same start, on examples with columns changed."""
    examples = dataclasses.replace(prepared.examples, **changed)
    trained.model.calibration.assign(np.zeros(trained.model.calibration.shape))
    calibrate(trained, dataclasses.replace(prepared, examples=examples), [task])
    return trained.model.calibration.numpy()[list(trained.model.config.tasks).index(task) + 1]


def test_calibration_reads_the_last_tenth_of_the_fit_window_and_nothing_later(world):
    """What is measured later must not be seen; of what was learnt long ago the model is surer than of the rest."""
    prepared, trained, _, _ = world
    examples, end = prepared.examples, trained.fit_end
    last = np.quantile(prepared.between(None, end).timestamp, 0.9)
    other = (examples.item + 1) % (2 * tiny_world.COMMUNITY)
    found = calibrated(trained, prepared, "search")
    outside = (examples.timestamp < last) | (examples.timestamp >= end)
    changed = calibrated(trained, prepared, "search", item=np.where(outside, other, examples.item))
    np.testing.assert_array_equal(changed, found)
    changed = calibrated(trained, prepared, "search", item=np.where(outside, examples.item, other))
    assert np.abs(changed - found).max() > 0.1


def test_calibration_takes_signals_as_of_each_request(world):
    """The tables of pairs hold what these requests chose: with them, the head would be too sure of itself."""
    prepared, trained, encoder, rules = world
    requests = late(prepared, trained, "more_like_this")
    heads = trained.model.config.heads
    parts = list(ranked_candidates(encoder, rules, requests, "more_like_this", as_of=True))
    found = calibrated(trained, prepared, "more_like_this")
    for head in ("click", "buy"):
        at = heads.index(head)
        logits = np.concatenate([part.ranked.logits[..., at].ravel() for part in parts])
        event = np.concatenate([part.event[..., at].ravel() for part in parts])
        np.testing.assert_allclose(found[at], fit_platt(logits, event), rtol=1e-3, atol=1e-3)


def test_in_the_fit_window_no_request_sees_its_own_outcome(world):
    """The table of pairs holds what each of these requests chose; as of the request it had not been chosen yet."""
    prepared, trained, encoder, rules = world
    requests = late(prepared, trained, "more_like_this")
    as_served, as_of = (
        np.concatenate(
            [p.ranked.logits[p.event] for p in ranked_candidates(encoder, rules, requests, "more_like_this", as_of)]
        )
        for as_of in (False, True)
    )
    assert as_of.mean() < as_served.mean()


def test_what_lies_behind_the_ranks(world):
    prepared, trained, encoder, rules = world
    requests = of_task(prepared, trained, "home_feed")
    found = diagnose(encoder, rules, requests, "home_feed")
    declared, none = found.retrieval
    ranks = rank_of_target(TwoTowerScorer(encoder).score(requests), requests.item, rules.allowed(requests))
    assert (declared.weights, none.weights) == ("declared", "none")
    assert declared.recall == {depth: (ranks <= depth).mean() for depth in DEPTHS}
    assert declared.values == {"popularity": 0.1, "trend": 0.0, "rating": 0.0, "freshness": 0.05}
    assert set(none.values.values()) == {0.0}
    assert [c.head for c in found.calibration] == ["like"]
    assert found.calibration[0].pairs == 12 * len(requests)
    facts = found.candidates
    ranked = rank_of_target(JointScorer(encoder, rules).score(requests), requests.item, rules.allowed(requests))
    # The candidates stand above all other items.
    assert facts.found == (ranked <= 12).mean() > 0
    assert (facts.most, facts.blend) == (12, "too few"), "nothing was fitted, and nobody declined it"
    assert facts.signals == facts.sources
    assert {"lexical", "source_pairs", "repeats"} <= set(facts.signals)


def test_what_is_lost_with_counts_of_a_day_before(world, request):
    """Against the joint model over a log in which every event that counts comes a day later."""
    prepared, trained, encoder, rules = world
    requests, blend = of_task(prepared, trained, "home_feed"), trained.model.blend
    # The answers go by the count alone, so that its age decides.
    kept = blend.get_weights()
    factors = np.float32([channel == "trend" for channel in blend.channels])
    number = 1 + list(trained.model.config.tasks).index("home_feed")
    blend.assign({number: FittedBlend("home_feed", 100, 1.0, factors, {})})
    request.addfinalizer(lambda: blend.set_weights(kept))
    found = diagnose(encoder, rules, requests, "home_feed").aged

    class DayOld:
        features = trained.quality.features
        weighted_sum = staticmethod(trained.quality.weighted_sum)

        @staticmethod
        def trending(times, most):
            return trained.quality.trending(times - DAY, most)

        @staticmethod
        def gather(item, time, age):
            now, before = trained.quality.gather(item, time), trained.quality.gather(item, time - DAY)
            return np.where(np.array(list(trained.quality.features)) == "trend", before, now)

    gains = []
    for quality in (trained.quality, DayOld()):
        scores = JointScorer(RequestEncoder(trained.model, prepared, quality), rules).score(requests)
        ranks = rank_of_target(scores, requests.item, rules.allowed(requests))
        gains.append(metric_values(ranks)[:, METRICS.index("ndcg@10")].mean())
    assert [found.now, found.day_old] == pytest.approx(gains)
    assert found.now != found.day_old
