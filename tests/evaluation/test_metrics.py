"""Ranks, metrics and their intervals, against counting by hand."""

import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from unified_ranker.evaluation.metrics import (
    DECISIVE_METRIC,
    METRICS,
    bootstrap,
    decisive,
    interval,
    metric_values,
    rank_of_target,
    ratio_interval,
)

RANKS = npst.arrays(np.float64, st.integers(1, 30), elements=st.integers(2, 400).map(lambda n: n / 2))


def values_of(ranks: list[float]) -> dict[str, np.ndarray]:
    return dict(zip(METRICS, metric_values(np.array(ranks, float)).T, strict=True))


def intervals(ranks, samples, seed):
    """Every metric of `ranks` by name, with its interval."""
    values = metric_values(ranks)
    resampled = bootstrap(values, samples, seed)
    return {name: interval(values[:, i], resampled[:, i]) for i, name in enumerate(METRICS)}


@st.composite
def scored(draw):
    batch, items = draw(st.integers(1, 5)), draw(st.integers(1, 9))
    # Few distinct values, so that ties are common.
    scores = draw(npst.arrays(np.float32, (batch, items), elements=st.sampled_from([-np.inf, -1, 0, 2, np.inf])))
    target = draw(npst.arrays(np.int64, batch, elements=st.integers(-1, items - 1)))
    return scores, target, draw(npst.arrays(np.bool_, (batch, items)))


@given(scored())
def test_rank_equals_counting_one_by_one(case):
    scores, target, allowed = case
    for row, found in enumerate(rank_of_target(scores, target, allowed)):
        own = target[row]
        if own == -1 or not allowed[row, own]:
            assert found == np.inf
            continue
        rivals = [scores[row, i] for i in range(scores.shape[1]) if allowed[row, i] and i != own]
        better = sum(s > scores[row, own] for s in rivals)
        tied = sum(s == scores[row, own] for s in rivals)
        # The mean place among tied + 1 items in random order.
        assert found == np.mean([better + place for place in range(1, tied + 2)])


def test_equal_scores_gain_nothing_from_the_order_of_the_catalogue():
    scores, allowed = np.zeros((3, 9), np.float32), np.ones((3, 9), bool)

    assert rank_of_target(scores, np.array([0, 4, 8]), allowed).tolist() == [5, 5, 5]


def test_nan_scores_are_an_error_even_outside_the_candidates():
    scores, allowed = np.zeros((2, 3)), np.ones((2, 3), bool)
    scores[1, 2], allowed[1, 2] = np.nan, False

    with pytest.raises(ValueError, match="NaN in 1 rows, first in row 1"):
        rank_of_target(scores, np.array([0, 0]), allowed)


def test_shapes_must_fit():
    rule = r"^`scores` and `allowed` must be \[batch, items\] and `target` \[batch\]\. "
    with pytest.raises(ValueError, match=rule + r"Received: \(2, 3\), \(2, 4\), \(2,\)\."):
        rank_of_target(np.zeros((2, 3)), np.array([0, 0]), np.ones((2, 4), bool))


def test_metrics_of_known_ranks():
    found = values_of([1, 3, 10, 10.5, 100, 101, np.inf])

    assert found["recall@10"].tolist() == [1, 1, 1, 0, 0, 0, 0]
    assert found["recall@100"].tolist() == [1, 1, 1, 1, 1, 0, 0]
    np.testing.assert_allclose(found["ndcg@10"], [1, 0.5, 1 / np.log2(11), 0, 0, 0, 0])
    np.testing.assert_allclose(found["mrr"], [1, 1 / 3, 0.1, 1 / 10.5, 0.01, 1 / 101, 0])


@given(RANKS)
def test_metrics_stay_in_bounds_and_fall_with_the_rank(ranks):
    ordered = np.sort(ranks)
    values = metric_values(ordered)

    assert values.min() >= 0
    assert values.max() <= 1
    assert (np.diff(values, axis=0) <= 0).all()
    found = values_of(ordered.tolist())
    assert (found["ndcg@10"] <= found["recall@10"]).all()
    assert (found["recall@10"] <= found["recall@100"]).all()
    assert decisive(ordered).tolist() == found[DECISIVE_METRIC].tolist()


def test_bootstrap_equals_drawing_and_averaging():
    values = np.random.default_rng(0).random((50, 3))
    drawn = np.random.default_rng(5).integers(0, 50, size=(200, 50), dtype=np.int32)

    np.testing.assert_allclose(bootstrap(values, 200, 5), values[drawn].mean(axis=1), rtol=1e-5)


def test_bootstrap_of_many_requests_equals_drawing_too():
    """More than are drawn at once: the parts are other resamples, as many as were asked for."""
    values = np.random.default_rng(0).random((30_000, 2))
    found = bootstrap(values, 150, 3)
    drawn = np.random.default_rng(3).integers(0, 30_000, size=(150, 30_000), dtype=np.int32)

    np.testing.assert_allclose(found, values[drawn].mean(axis=1), rtol=1e-5)


def test_columns_share_their_resamples():
    column = np.random.default_rng(1).random(200)
    means = bootstrap(np.stack([column, column + 0.25], axis=1), 300, 3)

    np.testing.assert_allclose(means[:, 1] - means[:, 0], 0.25, atol=1e-5)


def test_interval_of_a_share_is_close_to_the_normal_one():
    ranks = np.where(np.arange(2000) < 600, 1.0, 500.0)
    found = intervals(ranks, 2000, 1)["recall@10"]
    half = 1.96 * np.sqrt(0.3 * 0.7 / 2000)

    assert found.value == 0.3
    assert found.low == pytest.approx(0.3 - half, abs=0.002)
    assert found.high == pytest.approx(0.3 + half, abs=0.002)


def test_same_seed_same_interval_and_another_seed_another():
    ranks = np.random.default_rng(2).integers(1, 300, 500).astype(float)

    assert intervals(ranks, 200, 1) == intervals(ranks, 200, 1)
    assert intervals(ranks, 200, 1)["mrr"] != intervals(ranks, 200, 2)["mrr"]


@given(RANKS)
def test_interval_lies_within_the_values(ranks):
    for at, (name, found) in enumerate(intervals(ranks, 100, 0).items()):
        values = metric_values(ranks)[:, at]
        assert found.low <= found.high, name
        assert values.min() - 1e-6 <= found.low
        assert found.high <= values.max() + 1e-6


def test_interval_takes_the_outer_two_and_a_half_percent():
    found = interval(np.array([5.0, 7.0]), np.arange(1001.0))

    assert (found.value, found.low, found.high) == pytest.approx((6, 25, 975))


def test_nothing_to_resample_is_an_error():
    with pytest.raises(ValueError, match=r"^`values` must hold at least one request\. Received: none\.$"):
        bootstrap(np.zeros((0, 2)), 100, 0)


def test_a_ratio_is_of_the_means_and_its_interval_of_the_resamples_that_have_one():
    values = np.array([[9.0, 1.0, 2.0], [9.0, 3.0, 6.0]])
    below = np.array([*np.linspace(0.5, 4, 200), 0.0, -1.0])
    resampled = np.stack([np.full(202, 7.0), below * np.linspace(1, 3, 202), below], 1)
    found = ratio_interval(values, resampled, 1, 2)
    assert found.value == 2 / 4
    ratios = sorted(own / other for own, other in resampled[:, 1:].tolist() if other > 0)
    assert len(ratios) == 200
    assert (found.low, found.high) == pytest.approx(tuple(np.quantile(ratios, [0.025, 0.975])))
    assert ratio_interval(values, resampled, 2, 1).value == 4 / 2


def test_over_nothing_there_is_no_ratio():
    values = np.array([[1.0, 0.0], [2.0, 0.0]])
    assert ratio_interval(values, values, 0, 1) is None
    assert ratio_interval(values, np.array([[1.0, 2.0]]), 1, 0).value == 0
