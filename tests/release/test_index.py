"""Indexes over the item vectors."""

import json
import shutil
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest

from unified_ranker.core.errors import UserError
from unified_ranker.release.index import IndexDescription, build_index, load_index
from unified_ranker.release.indexes.auto import AutoIndex
from unified_ranker.release.indexes.exact import ExactIndex, ExactSearch
from unified_ranker.release.indexes.scann import SCANN_LEAST, ScannIndex
from unified_ranker.towers.tensorflow import tf, tfrs

RNG = np.random.default_rng(1)
FEW = RNG.normal(size=(50, 6)).astype(np.float32)
QUERIES = RNG.normal(size=(7, 6)).astype(np.float32)


def ids(vectors):
    return np.array([f"i{n}" for n in range(len(vectors))], object)


def build(directory, vectors, declared):
    directory.mkdir(parents=True)
    return build_index(directory, ids(vectors), vectors, declared)


@pytest.mark.parametrize("k", [1, 5, 49, 50, 80])
def test_exact_search_is_that_of_numpy_and_of_tfrs(k):
    found, scores = ExactSearch(FEW).search(QUERIES, k)
    expected = np.argsort(-(QUERIES @ FEW.T), axis=1)[:, :k]
    np.testing.assert_array_equal(found, expected)
    np.testing.assert_allclose(scores, np.take_along_axis(QUERIES @ FEW.T, expected, 1), atol=1e-5)
    brute = tfrs.layers.factorized_top_k.BruteForce(k=min(k, 50))
    brute.index(tf.constant(FEW))
    values, places = brute(tf.constant(QUERIES))
    np.testing.assert_array_equal(found, places)
    np.testing.assert_allclose(scores, values, atol=1e-5)


def test_ties_go_to_the_lower_position():
    found, _ = ExactSearch(np.ones((6, 3), np.float32)).search(np.ones((2, 3)), 6)
    assert found.tolist() == [list(range(6))] * 2


def test_many_queries_of_a_large_catalogue_take_bounded_memory():
    many, queries = RNG.normal(size=(100_000, 4)).astype(np.float32), RNG.normal(size=(300, 4)).astype(np.float32)
    index = ExactSearch(many)
    tracemalloc.start()
    found, _ = index.search(queries, 3)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 16 * len(many) * len(queries) / 2
    for row in (0, 79, 80, 299):
        assert found[row].tolist() == np.argsort(-(queries[row] @ many.T))[:3].tolist()


def test_an_exact_index_and_back(tmp_path):
    description = build(tmp_path / "index", FEW, ExactIndex(type="exact"))
    assert description == IndexDescription(type="exact", items=50, width=6)
    assert json.loads((tmp_path / "index/ids.json").read_text()) == ids(FEW).tolist()
    found, _ = load_index(tmp_path / "index", FEW).search(QUERIES, 3)
    np.testing.assert_array_equal(found, ExactSearch(FEW).search(QUERIES, 3)[0])


@pytest.mark.parametrize(("items", "kind"), [(SCANN_LEAST - 1, "exact"), (29, "exact"), (30, "scann")])
def test_auto_takes_scann_from_the_declared_size(tmp_path, items, kind):
    assert build(tmp_path / "index", FEW[:items], AutoIndex(scann_from=30)).type == kind


def test_vectors_that_would_overflow_scann_are_refused(tmp_path):
    vectors = np.ones((100, 4), np.float32)
    vectors[7:9, 2] = 1e26
    with pytest.raises(UserError, match=r"finite squared lengths.* 2 of 100 .*row 7"):
        build(tmp_path / "index", vectors, ScannIndex(type="scann"))


@pytest.mark.parametrize("first", ["", "from unified_ranker.towers.tensorflow import tfrs; tfrs.tasks.Retrieval;"])
def test_scann_writes_nothing_into_the_output_of_a_command(tmp_path, first):
    """Its lines come from C++, past Python's streams: only another process shows them. TFRS imports ScaNN itself."""
    code = first + (
        "import sys, numpy as np; from pathlib import Path; from unified_ranker.config import Config;"
        "from unified_ranker.release.indexes.scann import ScannIndex;"
        "vectors = np.random.default_rng(1).normal(size=(500, 8)).astype(np.float32);"
        "settings = ScannIndex(type='scann').build(Path(sys.argv[1]), vectors);"
        "print(ScannIndex.load(Path(sys.argv[1]), vectors, settings).search(vectors[:1], 3)[0].shape)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=True)
    assert (done.stdout.strip(), done.stderr) == ("(1, 3)", "")


def test_auto_is_exact_where_scann_could_not_train(tmp_path):
    assert build(tmp_path / "index", FEW[: SCANN_LEAST - 1], AutoIndex(scann_from=1)).type == "exact"


@pytest.mark.parametrize("vectors", [FEW[:-1], FEW[:, :-1]])
@pytest.mark.parametrize("declared", [ExactIndex(type="exact"), ScannIndex(type="scann")])
def test_an_index_of_other_vectors_is_refused(tmp_path, vectors, declared):
    build(tmp_path / "index", FEW, declared)
    with pytest.raises(UserError, match=r"must index the vectors of its release. Received: an index of 50 x 6 beside"):
        load_index(tmp_path / "index", vectors)


def test_scann_needs_a_few_items(tmp_path):
    with pytest.raises(UserError, match=r"at least 16 items. Received: 15. Declare `type: exact`"):
        build(tmp_path / "index", FEW[: SCANN_LEAST - 1], ScannIndex(type="scann"))


def test_scann_over_as_few_items_as_it_can(tmp_path):
    build(tmp_path / "index", FEW[:SCANN_LEAST], ScannIndex(type="scann"))
    found, scores = load_index(tmp_path / "index", FEW[:SCANN_LEAST]).search(QUERIES, 100)
    assert found.shape == scores.shape == (7, SCANN_LEAST)
    real = np.isfinite(scores)
    np.testing.assert_allclose(
        scores[real], np.take_along_axis(QUERIES @ FEW[:SCANN_LEAST].T, found, 1)[real], rtol=1e-4
    )


# --- ScaNN on something of a size ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def many():
    """20,000 unit vectors around 100 centres, with two columns of quality."""
    centres = RNG.normal(size=(100, 16))
    vectors = centres[RNG.integers(0, 100, 20_000)] + 0.4 * RNG.normal(size=(20_000, 16))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return np.concatenate([vectors, RNG.random((20_000, 2))], 1).astype(np.float32)


@pytest.fixture(scope="module")
def scann(many, tmp_path_factory):
    """An index that was moved after it was built, as that of every release is."""
    directory = tmp_path_factory.mktemp("scann")
    description = build(directory / "draft", many, AutoIndex())
    assert description.type == "scann"
    (directory / "draft").rename(directory / "index")
    shutil.rmtree(directory / "draft", ignore_errors=True)
    return load_index(directory / "index", many)


@pytest.mark.parametrize(("k", "least"), [(10, 0.97), (100, 0.95), (300, 0.9), (500, 0.9)])
def test_scann_finds_nearly_what_exact_search_finds(scann, many, k, least):
    """Also where more are wanted than it reorders by itself, 300."""
    weights = np.tile([[0.1, 0.05]], (100, 1))
    queries = np.concatenate([many[RNG.integers(0, 20_000, 100), :16], weights], 1).astype(np.float32)
    found, scores = scann.search(queries, k)
    assert found.shape == (100, k)
    expected, _ = ExactSearch(many).search(queries, k)
    recall = np.mean([len(set(a) & set(b)) / k for a, b in zip(found.tolist(), expected.tolist(), strict=True)])
    assert recall >= least
    real = np.isfinite(scores)
    assert real.mean() > 0.99
    exact = np.take_along_axis(queries @ many.T, found, 1)
    np.testing.assert_allclose(scores[real], exact[real], atol=1e-4)
    assert (np.diff(np.where(real, scores, -np.inf), axis=1)[real[:, 1:]] <= 1e-6).all()
