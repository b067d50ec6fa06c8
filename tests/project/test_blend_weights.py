"""Weights of the blend of a model: every channel with its own, and what was measured when it was fitted."""

import dataclasses

import numpy as np
import pytest
import tiny_world

from unified_ranker.project.holdout import blend_weights
from unified_ranker.tasks.blend import BLEND, FittedBlend

pytestmark = pytest.mark.xdist_group("tiny_model")


@pytest.fixture
def trained():
    """The world's model, whose blend is put back afterwards."""
    trained = tiny_world.trained()
    blend = trained.model.blend
    before = blend.factors.numpy(), blend.fitted.numpy()
    yield trained
    blend.factors.assign(before[0])
    blend.fitted.assign(before[1])


def fitted(trained, task):
    """A fit in which the third channel counts most, the first half as much, and the rest nothing."""
    names = trained.model.blend.channels
    factors = np.zeros(len(names), np.float32)
    factors[[2, 0]] = 2.0, 1.0
    ndcg = {name: 0.01 * place for place, name in enumerate(names)}
    return FittedBlend(task, 321, 0.75, factors, {BLEND: 0.5, **ndcg})


def test_channels_come_by_weight_and_then_by_what_they_reach_alone(trained):
    names, fit = trained.model.blend.channels, fitted(trained, "search")
    number = list(trained.model.config.tasks).index("search") + 1
    trained.model.blend.assign({number: fit})
    (weights,) = blend_weights(dataclasses.replace(trained, blends=(fit,)))

    assert (weights.task, weights.requests, weights.found, weights.ndcg) == ("search", 321, 0.75, 0.5)
    assert [one.channel for one in weights.deciding] == [names[2], names[0]]
    assert [one.weight for one in weights.deciding] == [2.0, 1.0]
    assert {one.channel: one.ndcg for one in weights.channels} == {name: fit.ndcg[name] for name in names}
    silent = [one.ndcg for one in weights.silent]
    assert silent == sorted(silent, reverse=True)
    assert len(weights.channels) == len(names)


def test_a_blend_that_was_kept_has_weights_and_nothing_measured(trained):
    number = list(trained.model.config.tasks).index("search") + 1
    trained.model.blend.assign({number: fitted(trained, "search")})
    (weights,) = blend_weights(dataclasses.replace(trained, blends=()))

    assert (weights.task, weights.requests, weights.ndcg) == ("search", 0, None)
    assert [one.weight for one in weights.deciding] == [2.0, 1.0]
    assert {one.ndcg for one in weights.channels} == {None}


def test_a_model_without_a_fit_has_nothing_to_tell(trained):
    assert blend_weights(dataclasses.replace(trained, blends=())) == ()
