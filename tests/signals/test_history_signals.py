"""Signals over the whole history: `neighbours`, `ease` and `transitions` against plain computations on a small log."""

import dataclasses
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from log_by_rows import ask, at, event, item, task, world
from scipy import sparse
from signal_toy import signal_request

from unified_ranker.evaluation.baselines.neighbours import Ease as EaseBaseline
from unified_ranker.prepare.examples import Histories
from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.signals.history_sums import HistorySums
from unified_ranker.signals.ragged_rows import strongest_of
from unified_ranker.towers.tensorflow import tf

ITEMS, USERS, END = 10, 14, 400
FADES = (1.0, 0.95, 0.7)


def log():
    """Users like items at random, some twice; the last few events lie behind the end of the fit window."""
    rng = np.random.default_rng(12)
    events = [
        event(f"u{rng.integers(USERS):02}", f"i{min(rng.integers(ITEMS), rng.integers(ITEMS + 3))}", hour)
        for hour in range(END + 60)
        if rng.random() < 0.5
    ]
    return world(events, [item(f"i{n}") for n in range(ITEMS)], {"home_feed": task()}, split=(END - 50, END))


PREPARED, CONFIG = log()


def signal(kind, **settings_):
    declared = SIGNALS[kind].model_validate({"type": kind, **settings_})
    return declared.build(SignalInputs(PREPARED, at(END), ("home_feed",)))


def histories():
    """Items of each user in the fit window, oldest first."""
    h = PREPARED.histories
    return [
        [int(i) for i, t in zip(h.item[a:b], h.timestamp[a:b], strict=True) if t < at(END) and i >= 0]
        for a, b in pairwise(h.offsets)
    ]


def cosines():
    had = np.zeros((USERS, ITEMS))
    for user, items in enumerate(histories()):
        had[user, items] = 1
    norm = np.maximum(np.linalg.norm(had, axis=0), 1e-9)
    found = had.T @ had / np.outer(norm, norm)
    np.fill_diagonal(found, 0)
    return found


def shares(reach=5):
    counts = np.zeros((ITEMS, ITEMS))
    for items in histories():
        for place, first in enumerate(items):
            for distance, second in enumerate(items[place + 1 : place + 1 + reach], start=1):
                counts[first, second] += (first != second) / distance
    return counts / (counts.sum(1, keepdims=True) + 3)


def sums(pairs, recent, source):
    """One request: pairs summed over its items, each at its newest place, with each fade; and the source item's."""
    out = np.zeros((ITEMS, len(FADES) + 1))
    for place, own in enumerate(recent):
        if own >= 0 and own not in recent[:place]:
            out[:, : len(FADES)] += pairs[own][:, None] * np.power(FADES, place)
    if source >= 0:
        out[:, -1] = pairs[source]
    return out


RECENT = np.array([[3, 1, 3, 7, -1], [0, 0, 0, 9, 2], [-1] * 5, [5, -1, -1, -1, -1]])
SOURCES = np.array([4, -1, 2, 5])


def features(built, recent=RECENT, source=SOURCES, times=None):
    """Features and proposals; an event a second, the newest first, unless `times` are given."""
    seconds = np.broadcast_to(np.arange(recent.shape[1], 0, -1), recent.shape) if times is None else times
    asked = signal_request(len(recent), recent=recent, recent_time=seconds, source_item=source)
    candidates = tf.constant(np.append(np.tile(np.arange(ITEMS), (len(recent), 1)), np.full((len(recent), 1), -1), 1))
    found = built.features(asked, candidates, None).numpy()
    assert not found[:, -1].any()
    return found[:, :-1], built.proposals(asked).numpy()


@pytest.mark.parametrize(("kind", "pairs"), [("neighbours", cosines), ("transitions", shares)])
def test_sums_over_the_history_with_each_fade_and_the_source(kind, pairs):
    found, proposed = features(signal(kind, candidates=6))
    expected = np.stack([sums(pairs(), *asked) for asked in zip(RECENT.tolist(), SOURCES, strict=True)])
    assert (expected > 0).any((0, 1)).all()
    np.testing.assert_allclose(found, expected, atol=1e-5)
    # The last item counts most among those that propose, beside the source item.
    together = proposing(pairs())
    for row in range(len(RECENT)):
        own = proposed[row][proposed[row] >= 0]
        best = np.sort(together[row][together[row] > 0])[::-1][:6]
        np.testing.assert_allclose(together[row][own], best, atol=1e-5)


def proposing(pairs):
    """What is proposed by: the slow fade over the history, and the source item in full."""
    both = [sums(pairs, recent, source) for recent, source in zip(RECENT.tolist(), SOURCES, strict=True)]
    return np.stack([own[:, 1] + own[:, -1] for own in both])


def test_the_reach_of_transitions_is_declared():
    found, _ = features(signal("transitions", reach=1))
    np.testing.assert_allclose(found[3, :, 0], shares(1)[5], atol=1e-6)
    assert np.abs(shares(1) - shares(5)).max() > 0.05


def test_the_window_and_the_neighbours_are_declared():
    found, _ = features(signal("neighbours", window=1))
    np.testing.assert_allclose(found[0, :, 0], cosines()[3], atol=1e-6)
    found, _ = features(signal("neighbours", neighbours=2))
    kept = np.where(cosines()[5] >= np.sort(cosines()[5])[-2], cosines()[5], 0)
    assert (found[3, :, 0] > 0).sum() == 2
    np.testing.assert_allclose(found[3, :, 0], kept, atol=1e-6)


@pytest.mark.parametrize("kind", ["neighbours", "ease", "transitions"])
def test_what_comes_after_the_fit_window_is_not_counted(kind):
    """The same signal of a log that ends there."""
    events = PREPARED.histories.timestamp >= at(END)
    assert events.sum() > 20
    found, proposed = features(signal(kind))
    rows = np.flatnonzero(~events)
    h = PREPARED.histories
    lengths = np.add.reduceat(~events, h.offsets[:-1])
    lengths = [(~events[a:b]).sum() for a, b in pairwise(h.offsets)]
    columns = {name: column[rows] for name, column in vars(h).items() if name != "offsets"}
    cut = dataclasses.replace(
        PREPARED,
        histories=Histories(offsets=np.concatenate([[0], np.cumsum(lengths)]), **columns),
        examples=PREPARED.between(None, at(END)),
    )
    declared = SIGNALS[kind].model_validate({"type": kind})
    again, proposed_again = features(declared.build(SignalInputs(cut, at(END) + 10**9, ("home_feed",))))
    np.testing.assert_array_equal(again, found)
    np.testing.assert_array_equal(proposed_again, proposed)


@pytest.mark.parametrize("regularisation", [5.0, 500.0])
def test_ease_gives_the_scores_of_the_baseline(regularisation):
    """With all items and all weights kept; every event here is a positive."""
    baseline = EaseBaseline("home_feed", regularisation=regularisation)
    baseline.fit(PREPARED, at(END))
    built = signal("ease", regularisation=regularisation, neighbours=ITEMS)
    for user, past in enumerate(histories()):
        scores = baseline.score(ask(PREPARED, END, user=f"u{user:02}"))[0]
        found, _ = features(built, np.array([past[::-1][:100]]), np.array([-1]))
        np.testing.assert_allclose(found[0, :, 0], scores, atol=1e-5)


def test_ease_covers_the_items_with_most_positives():
    built = signal("ease", most_items=3, neighbours=ITEMS)
    past = PREPARED.between(None, at(END)).item
    common = set(np.argsort(-np.bincount(past, minlength=ITEMS), kind="stable")[:3].tolist())
    found, _ = features(built, np.arange(ITEMS)[None], np.array([-1]))
    assert set(np.flatnonzero(found[0, :, 0]).tolist()) == common


@settings(max_examples=40)
@given(st.lists(st.lists(st.integers(-3, 3), min_size=4, max_size=4), min_size=4, max_size=4), st.integers(1, 5))
def test_the_strongest_pairs_are_kept_whatever_their_sign(rows, most):
    dense = np.array(rows, np.float32)
    starts, partners, weights = strongest_of(sparse.csr_array(dense), most)
    assert len(starts) == len(dense) + 2
    for row, values in enumerate(dense):
        own = slice(starts[row], starts[row + 1])
        kept = np.sort(np.abs(values[values != 0]))[::-1][:most]
        np.testing.assert_array_equal(np.abs(weights[own]), kept)
        np.testing.assert_array_equal(values[partners[own]], weights[own])


def test_a_negative_weight_counts_against_a_candidate_and_is_not_proposed():
    built = HistorySums(np.array([0, 2, 2, 2, 2]), np.array([1, 2]), np.array([-0.5, 0.25]), 10, 3)
    asked = signal_request(1, recent=[[0]])
    found = built.features(asked, tf.constant([[1, 2]], tf.int64), None).numpy()
    np.testing.assert_allclose(found[0, :, 0], [-0.5, 0.25])
    assert built.proposals(asked).numpy().tolist() == [[2, -1, -1]]
