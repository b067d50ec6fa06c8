"""The space of a version: a turned copy is turned back, dot products stay, and what cannot be mapped is refused."""

import numpy as np
import pytest
from store_toy import WIDTH, export, names, seal, unit

from unified_ranker.core.errors import UserError
from unified_ranker.store import Limits, open_store
from unified_ranker.store.alignment import Drift, DriftSince, VectorSpace, procrustes
from unified_ranker.vectors.embedding_stages import vector_table
from unified_ranker.vectors.space_mapping import choose_space

DRIFT = Drift(2, 50, 0.1, 0.9, 1.5, 0.25, 0.75, DriftSince(4, 0.8, 0.5))

ITEMS = 500


@pytest.fixture
def store(tmp_path):
    with open_store(tmp_path / "store") as opened:
        yield opened


def rotation(seed=0):
    return np.linalg.qr(np.random.default_rng(seed).normal(size=(WIDTH, WIDTH)))[0]


def tables(vectors, ids=None):
    ids = np.array(ids or names(len(vectors)), object)
    parts = (slice(0, len(ids) // 3), slice(len(ids) // 3, None))
    return [vector_table(ids[p], vectors[p].astype(np.float32), np.zeros(len(ids[p]), bool)) for p in parts]


def test_a_turned_space_is_turned_back(store):
    items = unit(ITEMS)
    export(store, items)
    made = items @ rotation()
    space = choose_space(store, 2, tables(made), ITEMS, WIDTH, None)
    np.testing.assert_allclose(space.apply(made.astype(np.float32)), items, atol=1e-5)
    assert space.reference == 1
    assert space.drift.cosine_before < 0.5
    assert space.drift.cosine_after == pytest.approx(1, abs=1e-6)
    assert space.drift.neighbour_overlap == pytest.approx(1, abs=0.01)


def test_dot_products_within_a_version_are_unchanged(store):
    export(store, unit(ITEMS))
    made = unit(ITEMS, seed=4)
    mapped = choose_space(store, 2, tables(made), ITEMS, WIDTH, None).apply(made)
    np.testing.assert_allclose(mapped @ mapped.T, made @ made.T, atol=1e-5)


def test_noise_is_no_obstacle_and_new_and_gone_items_do_not_count(store):
    items, rng = unit(ITEMS), np.random.default_rng(1)
    export(store, items)
    made = np.concatenate([(items + rng.normal(size=items.shape) * 0.05)[50:] @ rotation(), unit(40, seed=8)])
    ids = [*names(ITEMS)[50:], *(f"new-{n}" for n in range(40))]
    space = choose_space(store, 2, tables(made, ids), len(ids), WIDTH, None)
    assert space.drift.items == ITEMS - 50
    assert space.drift.distance_after < 0.25 * space.drift.distance_before
    np.testing.assert_allclose(space.transform, rotation().T, atol=0.05)


def test_versions_stay_in_the_space_of_the_reference_when_it_is_no_longer_published(store):
    items = unit(ITEMS)
    export(store, items)
    for seed in range(1, 5):
        made = items @ rotation(seed)
        space = choose_space(store, 9, tables(made), ITEMS, WIDTH, None)
        with store.writing():
            store.publish(seal(store, space.apply(made.astype(np.float32)), reference=space.reference), keep=0)
    assert [version.number for version in store.versions()] == [1, 5]
    np.testing.assert_allclose(store.get_many("item", names(ITEMS)).vectors, items, atol=1e-5)
    assert space.drift.published is not None
    assert space.drift.published.cosine == pytest.approx(1, abs=1e-5)


def test_a_new_space_and_what_cannot_be_mapped(store):
    first = choose_space(store, 1, tables(unit(20)), 20, WIDTH, None)
    np.testing.assert_array_equal(first.transform, np.eye(WIDTH))
    export(store, unit(ITEMS))
    anew = choose_space(store, 2, tables(unit(20)), 20, WIDTH, "new")
    assert (anew.reference, anew.drift) == (2, None)
    with pytest.raises(UserError, match=r"needs at least 8 shared items. Received: 0.*--reference new"):
        choose_space(store, 2, tables(unit(20), [f"x{n}" for n in range(20)]), 20, WIDTH, None)
    with pytest.raises(UserError, match=r"width of the reference, version 1. Received: 9 instead of 8"):
        choose_space(store, 2, tables(unit(20, 9)), 20, 9, None)
    with pytest.raises(UserError, match=r"must be a version of the store, or `new`. Received: 7"):
        choose_space(store, 2, tables(unit(20)), 20, WIDTH, "7")
    with pytest.raises(UserError, match=r"`--reference` must be the number"):
        choose_space(store, 2, tables(unit(20)), 20, WIDTH, "newest")


def test_a_space_comes_back_from_its_document_to_the_last_bit():
    space = VectorSpace(3, procrustes(unit(50, seed=1), unit(50, seed=2)), DRIFT)
    back = VectorSpace.of_document(space.document())
    np.testing.assert_array_equal(back.transform, space.transform)
    assert (back.reference, back.drift) == (3, DRIFT)
    np.testing.assert_allclose(space.transform @ space.transform.T, np.eye(WIDTH), atol=1e-12)


def test_limits_of_guards_are_those_that_are_declared(make_config):
    declared = make_config().export.embeddings.guards.model_dump()
    assert Limits(**declared) == Limits()
