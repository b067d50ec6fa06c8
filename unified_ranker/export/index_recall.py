"""Recall of an approximate index against exact search, on recorded requests."""

import tempfile
from pathlib import Path

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.signature_names import ENCODE, QUERY_VECTOR
from unified_ranker.evaluation.report import IndexRecall
from unified_ranker.export.savedmodel import Served
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.request_arrays import request_arrays
from unified_ranker.release.index import IndexDescription, build_index, load_index
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.release.indexes.scann import SCANN_LEAST, ScannIndex
from unified_ranker.towers.tensorflow import tf

_QUERIES, AT, _AT_ONCE = 500, 100, 128


def measure_index(
    served: Served, requests: Examples, prepared: Prepared, vectors: np.ndarray, config: Config, own: Path, at: int = AT
) -> IndexRecall | None:
    """Compare the release's index over `vectors` `[items, dim + quality]` with exact search.

    For a release with exact search, a ScaNN index is built for the measurement, so that the report shows its recall.

    Args:
        served: the exported model, whose `encode` makes the queries.
        requests: recorded ones, of which at most `_QUERIES` are used.
        prepared: the log of the requests.
        vectors: of the release.
        config: the declarations.
        own: directory of the release's own index.
        at: number of nearest items that are compared.

    Returns:
        None where there are no requests, or the release is exact and has too few items for ScaNN to be built.
    """
    described = IndexDescription.read(own)
    used = described.type != "exact"
    if not len(requests) or not (used or len(vectors) >= SCANN_LEAST):
        return None
    rng = np.random.default_rng(config.project.seed)
    chosen = np.sort(rng.permutation(len(requests))[:_QUERIES])
    queries = _encode(served, requests.take(chosen), prepared, config)
    with tempfile.TemporaryDirectory() as folder:
        if not used:
            described = build_index(Path(folder), prepared.item_ids, vectors, ScannIndex(type="scann"))
        found, scores = load_index(own if used else Path(folder), vectors).search(queries, at)
    nearest, _ = ExactSearch(vectors).search(queries, at)
    # Slots without a score hold no item: the searched leaves had too few.
    answers = [row[np.isfinite(score)] for row, score in zip(found, scores, strict=True)]
    shares = [len(np.intersect1d(a, n)) / len(n) for a, n in zip(answers, nearest, strict=True)]
    return IndexRecall(
        used=used,
        queries=len(queries),
        recall=float(np.mean(shares)),
        at=nearest.shape[1],
        type=described.type,
        settings=described.settings,
    )


def _encode(served: Served, requests: Examples, prepared: Prepared, config: Config) -> np.ndarray:
    """Return the query vectors of requests, `[requests, dim + quality]`, by the exported graph."""
    encode = served[ENCODE]
    parts = []
    for start in range(0, len(requests), _AT_ONCE):
        rows = np.arange(start, min(start + _AT_ONCE, len(requests)))
        arrays = request_arrays(requests.take(rows), prepared, config.towers.user.history_length)
        parts.append(encode(**{name: tf.constant(array) for name, array in arrays.items()})[QUERY_VECTOR].numpy())
    return np.concatenate(parts)
