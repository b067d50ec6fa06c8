"""ScaNN against exact search, over a release's own vectors."""

import numpy as np
import pytest
import tiny_world

from unified_ranker.export.embedding import embed_catalogue
from unified_ranker.export.index_recall import measure_index
from unified_ranker.release.index import build_index
from unified_ranker.release.indexes.exact import ExactIndex
from unified_ranker.release.indexes.scann import ScannIndex

pytestmark = pytest.mark.xdist_group("tiny_model")


def measured(tmp_path, declared, requests=None, items=None, **settings):
    prepared, config, served = tiny_world.prepared(), tiny_world.config(), tiny_world.served().signatures
    vectors = embed_catalogue(served, prepared, config)[:items]
    build_index(tmp_path, prepared.item_ids[:items], vectors, declared)
    requests = tiny_world.late_examples() if requests is None else requests
    return measure_index(served, requests, prepared, vectors, config, tmp_path, **settings)


def test_a_release_that_is_searched_exactly_is_measured_with_what_scann_would_find(tmp_path):
    found = measured(tmp_path, ExactIndex(type="exact"))
    assert not found.used
    # More items are scored exactly than there are, in all the leaves that a small index searches.
    assert found.recall == 1.0
    assert found.at == tiny_world.ITEMS
    assert found.queries == len(tiny_world.late_examples())


def test_an_index_that_looks_at_one_leaf_of_five_misses_most(tmp_path):
    found = measured(tmp_path, ScannIndex(type="scann", leaves=5, leaves_to_search=1))
    assert found.used
    assert (found.settings["leaves"], found.settings["leaves_to_search"]) == (5, 1)
    assert 0 < found.recall < 0.7


def test_it_is_exact_search_that_says_what_is_near(tmp_path):
    """One of two leaves gives two answers, and not always the two nearest."""
    found = measured(tmp_path, ScannIndex(type="scann", leaves=2, leaves_to_search=1), at=2)
    assert found.at == 2
    assert 0.3 < found.recall < 0.999


def test_nothing_is_measured_without_requests_or_items(tmp_path):
    none = tiny_world.late_examples().take(np.zeros(0, np.int64))
    assert measured(tmp_path, ExactIndex(type="exact"), none) is None
    assert measured(tmp_path, ExactIndex(type="exact"), items=10) is None
