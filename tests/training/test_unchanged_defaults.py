"""What levers leave as it was: by the defaults, training takes the very steps that it took before there were any.

The losses were recorded when candidates came to be drawn by quality, too. They move with every random draw and every
initial weight, so a lever that is off and yet draws, adds or reorders anything shows here.
"""

import numpy as np
import pytest
import tiny_world

from unified_ranker.training.training_job import train

pytestmark = pytest.mark.xdist_group("tiny_model")
SAMPLED = {"negatives": {"type": "sampled", "uniform": 6, "hard": 4}}
SIGNALS = ("lexical", "source_pairs", "successions")
"""All that there were then."""
BEFORE = {
    "all items": (
        {},
        [18.589619, 11.38931, 10.775471],
        {"ranking/home_feed": 8.448097, "ranking/search": 5.939579, "retrieval/more_like_this": 2.613758},
    ),
    "sampled, the hardest kept": (
        {"search": SAMPLED, "more_like_this": SAMPLED, "home_feed": SAMPLED},
        [16.35597, 12.311403, 11.320276],
        {"ranking/home_feed": 9.402836, "ranking/search": 6.467592, "retrieval/more_like_this": 2.403877},
    ),
}


@pytest.mark.parametrize("name", BEFORE)
def test_the_losses_are_those_of_before(name, tmp_path):
    changes, losses, last = BEFORE[name]
    signals = [s for s in tiny_world.TOWERS["ranker"]["signals"] if s["type"] in SIGNALS]
    config = tiny_world.config({"epochs": 3}, ranker={"signals": signals}, **changes)
    trained = train(tiny_world.prepared(), config, tmp_path)
    np.testing.assert_allclose(trained.curves["loss"], losses, rtol=1e-4)
    for curve, value in last.items():
        assert trained.curves[curve][-1] == pytest.approx(value, rel=1e-4)
