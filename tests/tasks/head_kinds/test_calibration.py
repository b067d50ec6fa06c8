"""Calibration: what the error is, and that the two numbers make probabilities without moving the order."""

import numpy as np
import pytest

from unified_ranker.tasks.head_kinds.platt import fit_platt
from unified_ranker.tasks.head_kinds.reliability import BINS, reliability_of


@pytest.fixture
def random():
    """A generator for each test, whatever ran before."""
    return np.random.default_rng(3)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def test_the_error_is_the_mean_gap_over_bins_of_equal_mass():
    # 15 bins of two: the two least probable pairs never happen, the two most probable ones always do.
    probability = np.repeat(np.linspace(0.1, 0.8, 15), 2)
    event = probability > 0.45
    found = reliability_of("click", probability, event)
    expected = np.where(event, 1 - probability, probability).mean()
    assert found.error == pytest.approx(expected)
    assert [b.pairs for b in found.bins] == [2] * BINS
    assert (found.head, found.pairs) == ("click", 30)
    assert (found.happened, found.predicted) == pytest.approx((event.mean(), probability.mean()))
    assert found.bins[0].happened == 0
    assert found.bins[-1].happened == 1


def test_true_probabilities_have_no_error_and_others_have(random):
    probability = random.beta(0.5, 4, 200_000)
    event = random.random(200_000) < probability
    assert reliability_of("click", probability, event).error < 0.003
    assert reliability_of("click", probability / 2, event).error == pytest.approx(probability.mean() / 2, abs=0.003)


def test_fewer_pairs_than_bins():
    found = reliability_of("click", np.array([0.2, 0.9]), np.array([False, True]))
    assert len(found.bins) == 2
    assert found.error == pytest.approx(0.15)


def test_the_numbers_that_made_the_events_are_found(random):
    logits = random.normal(4, 2, 100_000)
    event = random.random(100_000) < sigmoid(0.5 * logits - 6)
    scale, shift = fit_platt(logits, event)
    np.testing.assert_allclose([np.exp(scale), shift], [0.5, -6], atol=0.2)
    assert reliability_of("click", sigmoid(np.exp(scale) * logits + shift), event).error < 0.002


def test_a_head_that_is_wrong_keeps_its_order_and_is_flat(random):
    logits = random.normal(size=10_000)
    event = random.random(10_000) < sigmoid(-2 * logits - 3)
    scale, shift = fit_platt(logits, event)
    chances = sigmoid(np.exp(scale) * np.array([-2.0, 0.0, 2.0]) + shift)
    assert (np.diff(chances) > 0).all()
    np.testing.assert_allclose(chances, event.mean(), rtol=0.05)


def test_pairs_of_one_probability_keep_their_order():
    """Else the error would depend on how a machine sorts."""
    event = np.arange(600) >= 280
    found = reliability_of("click", np.full(600, 0.5), event)
    assert [b.happened for b in found.bins] == [0.0] * 7 + [1.0] * 8
    of_two = np.where(np.arange(600) % 2, 0.8, 0.2)
    found = reliability_of("click", of_two, event)
    in_order = np.concatenate([event[::2], event[1::2]]).reshape(BINS, 40)
    assert [b.happened for b in found.bins] == in_order.mean(axis=1).tolist()


@pytest.mark.parametrize(("happened", "others"), [(0, 9), (1, 3), (3, 1), (5, 2), (9, 0)])
def test_without_a_signal_the_chance_is_that_of_the_smoothed_labels(happened, others):
    """Platt (1999), section 2.2: one pseudo-count each."""
    event = np.arange(happened + others) < happened
    target = (happened * (happened + 1) / (happened + 2) + others / (others + 2)) / len(event)
    _, shift = fit_platt(np.zeros(len(event), np.float32), event)
    assert sigmoid(shift) == pytest.approx(target, rel=1e-4)


@pytest.mark.parametrize("offset", [-1000, -200, 200, 1000])
def test_an_offset_of_all_logits_moves_the_shift_alone(random, offset):
    """A softmax leaves it open."""
    logits = random.normal(0, 2, 4000)
    for about in (-2, 6):
        event = random.random(4000) < sigmoid(0.5 * logits + about)
        scale, shift = fit_platt(logits, event)
        moved_scale, moved_shift = fit_platt(logits + offset, event)
        assert moved_scale == pytest.approx(scale, abs=1e-3)
        assert moved_shift == pytest.approx(shift - np.exp(moved_scale) * offset, abs=1e-3)


def test_the_chance_of_the_rarest_event_is_exact():
    event = np.zeros(1_000_000, bool)
    _, shift = fit_platt(np.zeros(len(event), np.float32), event)
    assert sigmoid(shift) == pytest.approx(1 / 1_000_002, rel=1e-3)


def test_no_other_numbers_fit_better(random):
    logits = random.normal(40, 30, 400)
    event = random.random(400) < sigmoid(0.05 * logits - 3)
    many = event.sum()
    target = np.where(event, (many + 1) / (many + 2), 1 / (400 - many + 2))

    def loss(scale, shift):
        z = np.exp(scale) * logits + shift
        return (np.logaddexp(0, z) - target * z).mean()

    scale, shift = fit_platt(logits, event)
    for moved in ((1e-2, 0), (-1e-2, 0), (0, 1e-2), (0, -1e-2)):
        assert loss(scale + moved[0], shift + moved[1]) > loss(scale, shift)


def test_a_head_is_made_neither_infinitely_steep_nor_infinitely_flat():
    event = np.arange(100) % 2 == 1
    steep, flat = (fit_platt(sign * np.where(event, 1e-3, -1e-3), event)[0] for sign in (1, -1))
    assert steep == pytest.approx(7)
    assert -7 <= flat <= 0


def test_an_event_that_never_happened_is_improbable_and_finite(random):
    scale, shift = fit_platt(random.normal(size=1000), np.zeros(1000, bool))
    assert np.isfinite([scale, shift]).all()
    assert sigmoid(shift) < 0.01
