"""The fit of the blend: on planted candidates, and on what a trained model ranks."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.evaluation.blend_fit import (
    LEAST_REQUESTS,
    FitRequests,
    fit_blend,
    fit_blends,
    fit_factors,
    mean_ndcg,
    most_ranked,
    requests_to_fit,
)
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import METRICS, metric_values, rank_of_target
from unified_ranker.evaluation.scoring import JointScorer, RequestEncoder
from unified_ranker.tasks.blend import BLEND, standardised
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.training_job import build_model, make_batches, make_weights

pytestmark = pytest.mark.xdist_group("tiny_model")


def planted(requests=400, candidates=30, channels=6, seed=4, **strengths):
    """Requests whose target some channels know: its number there is that much higher than chance has it."""
    rng = np.random.default_rng(seed)
    numbers = rng.normal(size=(requests, candidates, channels)).astype(np.float32)
    target = rng.integers(0, candidates, requests)
    for channel, more in strengths.items():
        numbers[np.arange(requests), target, int(channel[1:])] += more
    return FitRequests(numbers, np.ones((requests, candidates), bool), target, np.ones(requests, np.float32))


def alone(given):
    return np.array([mean_ndcg(given, one) for one in np.eye(given.numbers.shape[2], dtype=np.float32)])


# --- planted candidates -------------------------------------------------------------------------------------------


def test_what_tells_the_target_is_found_by_how_much_it_tells():
    factors = fit_factors(planted(_2=2.0, _4=1.0))
    order = np.argsort(-factors)
    assert order[:2].tolist() == [2, 4]
    assert factors[2] > 1.5 * factors[4] > 6 * factors[[0, 1, 3, 5]].max()


def test_two_that_tell_are_better_together_and_on_other_requests_too():
    factors = fit_factors(planted(_1=1.0, _3=1.0))
    later = planted(seed=5, _1=1.0, _3=1.0)
    assert mean_ndcg(later, factors) > 1.2 * alone(later).max()


def test_no_weight_is_negative():
    """Channel 1 is the opposite of what tells: without a bound its weight would be."""
    factors = fit_factors(planted(_0=1.0, _1=-2.0))
    assert (factors >= 0).all()
    assert factors[1] == 0
    assert factors[0] > 0.3


def test_few_requests_are_trusted_less():
    many, few = fit_factors(planted(2000, _0=1.0)), fit_factors(planted(40, _0=1.0))
    assert 0 < few[0] < 0.7 * many[0]


def test_places_of_no_candidate_take_no_part():
    given = planted(_2=2.0)
    wider = np.pad(given.numbers, [(0, 0), (0, 5), (0, 0)], constant_values=9.0)
    present = np.pad(given.present, [(0, 0), (0, 5)])
    padded = FitRequests(wider, present, given.target, given.weight)
    np.testing.assert_allclose(fit_factors(padded), fit_factors(given), atol=1e-4)
    assert mean_ndcg(padded, fit_factors(given)) == pytest.approx(mean_ndcg(given, fit_factors(given)))


def test_requests_count_by_their_weight():
    """Channel 0 knows half of the targets, channel 1 the others; the one with the greater weight decides."""
    first, second = planted(_0=2.0), planted(seed=9, _1=2.0)
    parts = {f.name: [getattr(first, f.name), getattr(second, f.name)] for f in dataclasses.fields(FitRequests)}
    both = FitRequests(**{name: np.concatenate(columns) for name, columns in parts.items()})
    even = fit_factors(both)
    assert even[0] == pytest.approx(even[1], rel=0.25)
    weighted = dataclasses.replace(both, weight=np.repeat([9.0, 1.0], 400).astype(np.float32))
    assert fit_factors(weighted)[0] > 3 * fit_factors(weighted)[1]
    nothing = dataclasses.replace(both, weight=np.repeat([1.0, 0.0], 400).astype(np.float32))
    assert fit_factors(nothing)[1] < 0.2 * fit_factors(nothing)[0]


def misled():
    """Channel 0 puts most targets first and a few last by far; channel 1 puts every target at place 12 of 40.

    The loss fears the few that are last, and NDCG@10 does not see how far they are.
    """
    requests, candidates = 300, 40
    rng = np.random.default_rng(6)
    numbers = np.zeros((requests, candidates, 2), np.float32)
    target = rng.integers(0, candidates, requests)
    for row in range(requests):
        others = np.setdiff1d(np.arange(candidates), target[row])
        numbers[row, others, 0] = rng.uniform(-0.5, 0.5, candidates - 1)
        numbers[row, target[row], 0] = 0.6 if row % 3 else -10.0
        numbers[row, rng.permutation(others), 1] = np.linspace(3, -1, candidates - 1)
        numbers[row, target[row], 1] = 2.0
    return FitRequests(numbers, np.ones((requests, candidates), bool), target, np.ones(requests, np.float32))


def test_the_blend_is_never_worse_on_its_slice_than_a_channel_alone(monkeypatch):
    from unified_ranker.evaluation import blend_fit

    given = misled()
    assert mean_ndcg(given, blend_fit._least_loss(given)) < 0.9 * alone(given).max(), "by the least loss alone it is"
    factors = fit_factors(given)
    assert mean_ndcg(given, factors) >= alone(given).max()
    assert (factors >= 0).all()


@pytest.mark.parametrize("seed", range(8))
def test_nor_where_nothing_tells(seed):
    given = planted(60, seed=seed)
    assert mean_ndcg(given, fit_factors(given)) >= alone(given).max() - 1e-9


def test_ties_stand_at_their_mean_rank():
    """Of 21 equal candidates the target has rank 11, behind the tenth; of 3 rank 2."""
    for count, expected in ((21, 0.0), (3, 1 / np.log2(3))):
        given = FitRequests(
            np.zeros((4, count, 1), np.float32), np.ones((4, count), bool), np.zeros(4, int), np.ones(4, np.float32)
        )
        assert mean_ndcg(given, np.ones(1, np.float32)) == pytest.approx(expected)


# --- what a model ranks -------------------------------------------------------------------------------------------


SIGNALS = [{"type": "source_pairs"}, {"type": "popular"}, {"type": "neighbours"}, {"type": "transitions"}]


@pytest.fixture(scope="module")
def asked():
    """A model of random weights, so that only the signals know anything.

    The report is declared to measure five requests: that limits no fit.
    """
    world, config = tiny_world.prepared(), tiny_world.config(ranker={"signals": SIGNALS})
    few = config.project.evaluation.model_copy(update={"requests_per_task": 5})
    config = config.model_copy(update={"project": config.project.model_copy(update={"evaluation": few})})
    end = world.split.train_end
    model, _, quality = build_model(world, config, end)
    make_weights(model, make_batches(world, world.between(None, end), model))
    encoder = RequestEncoder(model, world, quality)
    return encoder, CandidateRules(world, config), world.between(end, None)


def of(requests, task, count=None):
    return requests.take(np.flatnonzero(requests.task == task)[:count])


def test_the_signal_that_knows_is_found(asked):
    """A source item is followed by the next one: `source_pairs` and `transitions` see that, weights know nothing."""
    encoder, rules, requests = asked
    found = fit_blend(encoder, rules, of(requests, "more_like_this"), "more_like_this")
    factors = dict(zip(encoder.model.blend.channels, found.factors, strict=True))
    assert found.best_channel.startswith("source_pairs")
    assert max(factors, key=factors.get).startswith("source_pairs")
    assert found.ndcg[BLEND] >= max(value for name, value in found.ndcg.items() if name != BLEND)
    assert found.ndcg[BLEND] > 2 * found.ndcg["score"]
    assert found.requests == len(of(requests, "more_like_this"))
    assert 0 < found.found <= 1


def test_its_numbers_are_those_of_the_service_once_it_is_taken(asked):
    encoder, rules, requests = asked
    own = of(requests, "more_like_this")
    blend, number = encoder.model.blend, [*encoder.model.config.tasks].index("more_like_this") + 1

    def served():
        ranks = rank_of_target(JointScorer(encoder, rules).score(own), own.item, rules.allowed(own))
        values = metric_values(ranks)[:, METRICS.index("ndcg@10")]
        return values.mean()

    found = fit_blend(encoder, rules, own, "more_like_this")
    before = [variable.numpy() for variable in (blend.factors, blend.fitted)]
    try:
        blend.assign({number: found})
        assert served() == pytest.approx(found.ndcg[BLEND], abs=1e-3)
    finally:
        for variable, value in zip((blend.factors, blend.fitted), before, strict=True):
            variable.assign(value)
    assert served() == pytest.approx(found.ndcg["score"], abs=1e-3)


def test_more_requests_are_ranked_only_until_enough_targets_are_found(asked):
    encoder, rules, requests = asked
    own = of(requests, "more_like_this")
    whole = fit_blend(encoder, rules, own, "more_like_this", part=40)
    assert whole.requests == len(own)
    enough = LEAST_REQUESTS + 5
    some = fit_blend(encoder, rules, own, "more_like_this", enough=enough, part=40)
    assert enough <= some.found * some.requests < enough + 40
    assert some.requests < len(own)
    # Drawn from the whole slice, and not its earliest requests.
    assert some.found == pytest.approx(whole.found, abs=0.25)


@pytest.mark.parametrize(("items", "most"), [(0, 3000), (10_000, 3000), (1_000_000, 1000), (50_000_000, 500)])
def test_a_large_catalogue_has_fewer_requests_because_each_scores_all_of_it(items, most):
    assert most_ranked(items) == most


def test_too_few_requests_give_none_and_the_head_decides_alone(asked, caplog):
    encoder, rules, requests = asked
    few = of(requests, "search", LEAST_REQUESTS - 1)
    assert fit_blend(encoder, rules, few, "search") is None
    assert fit_blend(encoder, rules, of(requests, "search", 0), "search") is None
    assert fit_blends(encoder, rules, few, ["search"]) == []
    assert "search: too few requests" in caplog.text


def test_heads_count_by_what_the_task_declares_for_them(asked, monkeypatch):
    """`click: 1, buy: 2` by the declarations; a head without a value teaches nothing, and too few of it is none."""
    encoder, rules, requests = asked
    own = of(requests, "more_like_this")
    given, _ = requests_to_fit(encoder, rules, own, "more_like_this")
    weights = given.weight
    assert set(weights) == {1.0, 2.0}
    assert abs((weights == 2).mean() - (own.head == "buy").mean()) < 0.1
    number = [*encoder.model.config.tasks].index("more_like_this") + 1
    worth = encoder.model.score_weights.numpy()
    worth[number] = 0.0
    monkeypatch.setattr(encoder.model, "score_weights", tf.constant(worth))
    assert fit_blend(encoder, rules, own, "more_like_this") is None


def test_what_is_fitted_is_standardised_among_what_may_answer(asked):
    encoder, rules, requests = asked
    given, _ = requests_to_fit(encoder, rules, of(requests, "search"), "search")
    means = np.where(given.present[..., None], given.numbers, 0).sum(1) / given.present.sum(1)[:, None]
    np.testing.assert_allclose(means, 0, atol=1e-4)
    again = standardised(tf.constant(given.numbers), tf.constant(given.present)).numpy()
    np.testing.assert_allclose(again, given.numbers, atol=1e-3)
    assert given.present[np.arange(len(given.target)), given.target].all()
