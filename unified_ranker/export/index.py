"""The retrieval index of a release: exact below about 20,000 items, ScaNN above."""

import json
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np

from unified_ranker.config import AutoIndex, ExactIndex, ScannIndex
from unified_ranker.errors import UserError

DESCRIPTION = "index.json"
IDS = "ids.json"


class Index(ABC):
    """Finds the items with the highest dot product. Scores are those of the stored vectors."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return item positions and scores, both `[batch, min(k, items)]`, best first, for queries `[batch, width]`."""


class ExactSearch(Index):
    """Scores every item: right by construction, and the oracle for the approximate ones."""

    def __init__(self, vectors: np.ndarray) -> None:
        """Search `vectors` `[items, width]`."""
        self.vectors = np.ascontiguousarray(vectors, np.float32)

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`; ties go to the lower position."""
        scores = queries.astype(np.float32) @ self.vectors.T
        k = min(k, scores.shape[1])
        chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k] if k < scores.shape[1] else _everything(scores)
        values = np.take_along_axis(scores, chosen, 1)
        order = np.lexsort((chosen, -values), axis=1)
        return np.take_along_axis(chosen, order, 1), np.take_along_axis(values, order, 1)


class ScannSearch(Index):
    """ScaNN in process: partitions, scores residuals by anisotropic hashing, reorders exactly (arXiv 1908.10396)."""

    def __init__(self, searcher: object) -> None:
        """Wrap a searcher of `scann.scann_ops_pybind`."""
        self.searcher = searcher

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`."""
        found, scores = self.searcher.search_batched(queries.astype(np.float32), final_num_neighbors=k)  # type: ignore[attr-defined]
        return np.asarray(found, np.int64), np.asarray(scores, np.float32)


def build_index(
    directory: Path, item_ids: np.ndarray, vectors: np.ndarray, declared: AutoIndex | ExactIndex | ScannIndex
) -> dict:
    """Write the index of `vectors` `[items, width]` into `directory`; returns its description, which is stored too."""
    items = len(item_ids)
    if isinstance(declared, AutoIndex):
        declared = ScannIndex(type="scann") if items >= declared.scann_from else ExactIndex(type="exact")
    if isinstance(declared, ScannIndex):
        description = _build_scann(directory, vectors, declared)
    else:
        description = {"type": "exact"}
    description |= {"items": items, "width": int(vectors.shape[1])}
    (directory / DESCRIPTION).write_text(json.dumps(description, indent=2), encoding="utf-8")
    (directory / IDS).write_text(json.dumps(list(item_ids)), encoding="utf-8")
    return description


def load_index(directory: Path, vectors: np.ndarray) -> Index:
    """Open the index in `directory` over the release's `vectors` `[items, width]`.

    Raises:
        UserError: when index and vectors do not belong together.
    """
    description = json.loads((directory / DESCRIPTION).read_text(encoding="utf-8"))
    if (description["items"], description["width"]) != vectors.shape:
        raise UserError(
            f"`{directory}` must index the vectors of its release. Received: an index of {description['items']} x "
            f"{description['width']} beside vectors of {vectors.shape[0]} x {vectors.shape[1]}. Export again."
        )
    if description["type"] == "exact":
        return ExactSearch(vectors)
    from scann.scann_ops.py import scann_ops_pybind

    return ScannSearch(scann_ops_pybind.load_searcher(str(directory)))


def _build_scann(directory: Path, vectors: np.ndarray, declared: ScannIndex) -> dict:
    """Build by ScaNN's own rules of thumb: about √items leaves, a twentieth of them searched."""
    from scann.scann_ops.py import scann_ops_pybind

    leaves = declared.leaves or max(int(np.sqrt(len(vectors))), 1)
    searched = declared.leaves_to_search or max(leaves // 20, min(leaves, 10))
    searcher = (
        scann_ops_pybind.builder(np.ascontiguousarray(vectors, np.float32), declared.reorder, "dot_product")
        .tree(num_leaves=leaves, num_leaves_to_search=searched, training_sample_size=min(len(vectors), 250_000))
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .reorder(declared.reorder)
        .build()
    )
    searcher.serialize(str(directory))
    return {"type": "scann", "leaves": leaves, "leaves_to_search": searched, "reorder": declared.reorder}


def _everything(scores: np.ndarray) -> np.ndarray:
    return np.tile(np.arange(scores.shape[1]), (len(scores), 1))
