"""Behaviours of every index: written, moved, opened, and close to exact search."""

import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.release.index import IndexDescription, build_index, load_index
from unified_ranker.release.indexes.base import INDEXES
from unified_ranker.release.indexes.exact import ExactSearch

RNG = np.random.default_rng(4)
ITEMS, WIDTH = 400, 12
LEAST = 0.9
"""Recall at which an index is of use: over so few items that exact search would do, a low bar."""


@pytest.fixture(scope="module")
def vectors():
    centres = RNG.normal(size=(20, WIDTH))
    found = centres[RNG.integers(0, 20, ITEMS)] + 0.4 * RNG.normal(size=(ITEMS, WIDTH))
    return (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture(params=list(INDEXES))
def kind(request):
    return INDEXES[request.param](type=request.param)


@pytest.fixture
def built(kind, vectors, tmp_path):
    """An index that was moved after it was built, as that of every release is."""
    (tmp_path / "draft").mkdir()
    description = build_index(tmp_path / "draft", ids(ITEMS), vectors, kind)
    (tmp_path / "draft").rename(tmp_path / "index")
    return tmp_path / "index", description


def ids(count):
    return np.array([f"i{n}" for n in range(count)], object)


def queries(count=20):
    return RNG.normal(size=(count, WIDTH)).astype(np.float32)


def test_the_description_says_what_there_is(built):
    directory, description = built
    assert (description.items, description.width) == (ITEMS, WIDTH)
    assert description.type in INDEXES
    assert IndexDescription.read(directory) == description


def test_it_finds_nearly_what_exact_search_finds_best_first(built, vectors):
    index, asked = load_index(built[0], vectors), queries()
    for k in (1, 10, 100):
        found, scores = index.search(asked, k)
        assert found.shape == scores.shape == (len(asked), k)
        expected, _ = ExactSearch(vectors).search(asked, k)
        shares = [len(set(a) & set(b)) / k for a, b in zip(found.tolist(), expected.tolist(), strict=True)]
        assert np.mean(shares) >= LEAST
        real = np.isfinite(scores)
        np.testing.assert_allclose(scores[real], np.take_along_axis(asked @ vectors.T, found, 1)[real], atol=1e-4)
        assert (np.diff(scores, axis=1)[real[:, 1:]] <= 1e-6).all()


def test_no_item_answers_twice(built, vectors):
    found, scores = load_index(built[0], vectors).search(queries(), 50)
    for row, score in zip(found, scores, strict=True):
        there = row[np.isfinite(score)]
        assert len(np.unique(there)) == len(there)


def test_more_than_there_are_are_all(built, vectors):
    found, scores = load_index(built[0], vectors).search(queries(2), ITEMS + 50)
    assert found.shape == scores.shape == (2, ITEMS)


def test_each_query_is_answered_by_itself(built, vectors):
    index, asked = load_index(built[0], vectors), queries(5)
    together, _ = index.search(asked, 10)
    for row in range(5):
        np.testing.assert_array_equal(index.search(asked[row : row + 1], 10)[0][0], together[row])


def test_one_over_other_vectors_is_refused(built, vectors):
    with pytest.raises(UserError, match=f"Received: an index of {ITEMS} x {WIDTH} beside vectors of {ITEMS - 1} x"):
        load_index(built[0], vectors[:-1])


def test_a_kind_that_nobody_registered_is_named(built, vectors):
    directory, description = built
    other = description.model_copy(update={"type": "hnsw"})
    (directory / "index.json").write_text(other.model_dump_json())
    with pytest.raises(UserError, match=r"unknown index `hnsw`. Known: .*`exact`"):
        load_index(directory, vectors)
