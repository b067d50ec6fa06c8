"""Rebuilding of an index: its process knows the kinds of index that the release's extensions register."""

import numpy as np
import pytest
from extended_release import MODULES, extended_release, write_modules
from own_extensions import forgotten_afterwards

from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.retrieval.overlay import LiveItem
from unified_ranker.serving.retrieval.rebuilding import rebuild


@pytest.fixture
def opened(tmp_path, toy_prepared, toy_config):
    """A release that carries its kind of index, opened where nothing else has it."""
    project = write_modules(tmp_path / "project")
    with forgotten_afterwards(*MODULES):
        yield OpenedRelease.open(extended_release(tmp_path / "releases", toy_prepared, toy_config, project))


def test_an_index_of_a_carried_kind_is_built_again_with_the_live_items(opened):
    width = opened.vectors.shape[1]
    live = opened.with_changes({"new": LiveItem("new", np.full(width, 9, np.float32))})
    baked, index = rebuild(live)
    found, _ = index.search(np.ones((1, width), np.float32), 1)
    assert list(baked.ids_at(found[0])) == ["new"]
