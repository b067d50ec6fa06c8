"""Behaviours of every quality feature: exact as of any moment, blind to what comes later, and as the graph has it."""

from dataclasses import fields, replace

import numpy as np
import pandas as pd
import pytest

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.freshness import freshness
from unified_ranker.core.times import DAY, NEVER
from unified_ranker.log.check import Check
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.prepare.quality_types.base import QUALITY_FEATURES
from unified_ranker.prepare.quality_types.popularity_feature import scaled_popularity

EXTENSION = "positive_share"
KINDS = [*QUALITY_FEATURES, EXTENSION]


@pytest.fixture(params=KINDS)
def feature(request):
    return QUALITY_FEATURES[request.param](type=request.param)


@pytest.fixture(scope="module")
def world(toy_prepared) -> Prepared:
    """The toy's log, with one more item that has no event and no creation time."""
    bare = toy_prepared.items.iloc[[0]].assign(item_id="nothing", created_at=pd.NaT)
    items = pd.concat([toy_prepared.items, bare], ignore_index=True)
    return replace(toy_prepared, items=items.astype({"created_at": toy_prepared.items["created_at"].dtype}))


@pytest.fixture(scope="module")
def moments(world):
    return np.quantile(world.events.timestamp, [0, 0.3, 0.5, 0.9, 1], method="lower") + 1


def quality_of(world, feature, reference, events=None):
    return QualityAsOf({"own": feature}, events or world.events, world.created_at, int(reference))


def early(events, moment):
    return type(events)(**{f.name: getattr(events, f.name)[events.timestamp < moment] for f in fields(events)})


def test_pairs_and_whole_catalogues_get_the_same_bytes(world, feature, moments):
    quality = quality_of(world, feature, moments[2])
    whole = quality.matrix(moments)
    item, row = np.tile(np.arange(len(world.items)), len(moments)), np.repeat(np.arange(len(moments)), len(world.items))
    assert quality.gather(item, moments[row]).tobytes() == whole.reshape(-1, 1).tobytes()
    assert whole.dtype == np.float32
    assert np.isfinite(whole).all()


def test_what_comes_later_changes_nothing(world, feature, moments):
    for moment in moments[1:]:
        known = quality_of(world, feature, moment, early(world.events, moment))
        assert known.matrix(np.array([moment])).tobytes() == (
            quality_of(world, feature, moment).matrix(np.array([moment])).tobytes()
        )


def test_it_tells_items_apart(world, feature, moments):
    assert len(np.unique(quality_of(world, feature, moments[2]).matrix(moments[2:3]))) > 1


def test_an_item_of_which_nothing_is_known_has_the_number_of_unseen_ones(world, feature, moments):
    quality = quality_of(world, feature, moments[2])
    assert world.created_at[-1] == NEVER
    assert not (world.events.item == len(world.items) - 1).any()
    np.testing.assert_array_equal(quality.matrix(moments)[:, -1, 0], np.float32(quality.unseen()[0]))


def test_the_graph_can_make_it_of_what_it_keeps(world, feature, moments):
    """A number that is kept as of the end of the fit window is right then; others are computed by the two rules."""
    quality = quality_of(world, feature, moments[2])
    found = quality.matrix(moments)[..., 0]
    if feature.decay:
        expected = freshness(world.created_at[None], moments[:, None], feature.decay)
    elif feature.counted_live:
        marked = feature.counted(world.events)
        longest = feature.window or 10_000 * DAY
        since = moments[:, None] - world.events.timestamp[None]
        inside = marked & (since > 0) & (since <= longest) & (world.events.item != MISSING)
        counts = np.stack([np.bincount(world.events.item[row], minlength=len(world.items)) for row in inside])
        expected = scaled_popularity(counts.astype(np.float32), quality.scales["own"])
    else:
        return
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_its_checks_say_what_it_needs(toy_log, feature):
    checks = list(feature.checks("`towers/item.yaml`, `quality.own", toy_log))
    assert all(
        isinstance(check, Check) and check.name.startswith("`towers/item.yaml`, `quality.own") for check in checks
    )
    assert not [check for check in checks if check.failed]
