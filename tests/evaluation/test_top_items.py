"""Top tens by a full sort, and what coverage and concentration say of them."""

import numpy as np
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.top_items import TOP, concentration, top_items


def by_sorting(scores, allowed):
    """The top ten by sorting everything."""
    found = np.full((len(scores), TOP), MISSING)
    for row, (own, may) in enumerate(zip(scores, allowed, strict=True)):
        best = [item for item in np.argsort(-own) if may[item]][:TOP]
        found[row, : len(best)] = best
    return found


# Around the length of a block, of all blocks that are looked into, and far beyond.
@pytest.mark.parametrize("items", [3, 10, 32, 100, 384, 385, 416, 417, 5000])
def test_the_top_ten_are_those_of_a_full_sort(items):
    random = np.random.default_rng(items)
    scores = random.permuted(np.tile(np.arange(items, dtype=np.float32), (40, 1)), axis=1)
    allowed = random.random((40, items)) < 0.7
    np.testing.assert_array_equal(top_items(scores, allowed), by_sorting(scores, allowed))


@pytest.mark.parametrize("left", [0, 4, 200])
def test_forbidden_items_with_the_highest_scores_hide_nothing(left):
    """Every block that looks best is full of what may not answer."""
    items = 6000
    scores = np.tile(np.arange(items, dtype=np.float32), (3, 1))
    allowed = np.arange(items)[None] < np.array([[left], [items], [left]])
    np.testing.assert_array_equal(top_items(scores, allowed), by_sorting(scores, allowed))


def test_infinite_scores_are_ordinary_and_the_scores_stay_as_they_were():
    scores = np.random.default_rng(1).random((2, 2000)).astype(np.float32)
    scores[0, 1500], scores[1, :1990] = np.inf, -np.inf
    before, allowed = scores.copy(), np.ones((2, 2000), bool)
    found = top_items(scores, allowed)
    assert found[0, 0] == 1500
    assert sorted(found[1]) == list(range(1990, 2000))
    np.testing.assert_array_equal(scores, before)


def test_the_same_ten_for_everybody_are_the_narrowest():
    found = concentration("s", np.tile(np.arange(TOP), (50, 1)), 1000)
    assert (found.coverage, found.top_share) == (0.01, 1.0)
    assert found.gini == pytest.approx(0.99)


def test_every_item_as_often_as_any_other_is_the_widest():
    found = concentration("s", np.arange(1000).reshape(100, TOP), 1000)
    assert (found.coverage, found.top_share) == (1.0, 0.01)
    assert found.gini == pytest.approx(0)


def test_the_gini_coefficient_is_half_the_relative_mean_difference():
    top = np.random.default_rng(2).zipf(1.5, (200, TOP)) % 300
    places = np.bincount(top.ravel(), minlength=300)
    expected = np.abs(places[:, None] - places).mean() / (2 * places.mean())
    found = concentration("s", top, 300)
    assert found.gini == pytest.approx(expected)
    assert found.top_share == pytest.approx(np.sort(places)[-3:].sum() / places.sum())


def test_places_without_an_item_do_not_count():
    top = np.full((4, TOP), MISSING)
    assert vars(concentration("s", top, 50)) == {"scorer": "s", "coverage": 0.0, "top_share": 0.0, "gini": 0.0}
    top[:, 0] = 7
    assert concentration("s", top, 50).coverage == 1 / 50
