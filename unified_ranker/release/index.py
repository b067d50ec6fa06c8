"""The retrieval index of a release: exact below about 20,000 items, ScaNN above."""

import importlib
import json
import sys
from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict

from unified_ranker.config import AutoIndex, ExactIndex, ScannIndex
from unified_ranker.core.errors import UserError

DESCRIPTION = "index.json"
IDS = "ids.json"
_SEARCHERS = "scann.scann_ops.py.scann_ops_pybind"
SCANN_LEAST = 16
"""Items below which ScaNN cannot train its codebooks of 16 centres."""


class IndexDescription(BaseModel):
    """Retrieval index as its directory and the manifest describe it.

    Attributes:
        type: `exact` or `scann`.
        items: how many it holds.
        width: of the vectors.
        leaves: partitions; None for an exact one, as the next two.
        leaves_to_search: partitions that a search looks into.
        reorder: items that are scored exactly in the end.
    """

    model_config = ConfigDict(frozen=True)

    type: Literal["exact", "scann"]
    items: int
    width: int
    leaves: int | None = None
    leaves_to_search: int | None = None
    reorder: int | None = None

    @classmethod
    def read(cls, directory: Path) -> "IndexDescription":
        """Read the description that `build_index` left in a directory."""
        return cls.model_validate_json((directory / DESCRIPTION).read_text(encoding="utf-8"))


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
        """See `Index.search`; among the answers, ties go to the lower position."""
        scores = queries.astype(np.float32) @ self.vectors.T
        k = min(k, scores.shape[1])
        chosen = np.argpartition(-scores, k - 1, axis=1)[:, :k]
        values = np.take_along_axis(scores, chosen, 1)
        order = np.lexsort((chosen, -values), axis=1)
        return np.take_along_axis(chosen, order, 1), np.take_along_axis(values, order, 1)


class ScannSearch(Index):
    """ScaNN in process: partitions, scores residuals by anisotropic hashing (arXiv 1908.10396); the best again exactly.

    ScaNN would do the last step itself, over a copy of the vectors that it keeps. The service has them anyway: without
    the copy a million items take 280 MB less, and are loaded in a quarter of the time, for which ScaNN holds the
    interpreter, and with it all requests.
    """

    def __init__(self, searcher: Any, vectors: np.ndarray, reorder: int) -> None:
        """Wrap a searcher of `scann.scann_ops_pybind` over `vectors` `[items, width]`; `reorder` are scored exactly."""
        self.searcher, self.vectors, self.reorder = searcher, vectors, reorder

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`; where the searched leaves hold too few, the rest of a row has the score NaN."""
        k, queries = min(k, len(self.vectors)), queries.astype(np.float32)
        # Twice as many as are wanted keep the recall of the last ones.
        more = min(max(2 * k, self.reorder), len(self.vectors))
        found, guessed = self.searcher.search_batched(queries, final_num_neighbors=more)
        found = np.asarray(found, np.int64)
        scores = (self.vectors[found] @ queries[:, :, None])[..., 0]
        scores[~np.isfinite(guessed)] = np.nan
        best = np.argsort(-scores, axis=1)[:, :k]
        return np.take_along_axis(found, best, 1), np.take_along_axis(scores, best, 1)


def build_index(
    directory: Path, item_ids: np.ndarray, vectors: np.ndarray, declared: AutoIndex | ExactIndex | ScannIndex
) -> IndexDescription:
    """Write the index of `vectors` `[items, width]` into `directory`; returns its description, which is stored too."""
    if isinstance(declared, AutoIndex):
        enough = len(item_ids) >= max(declared.scann_from, SCANN_LEAST)
        declared = ScannIndex(type="scann") if enough else ExactIndex(type="exact")
    if isinstance(declared, ScannIndex):
        description = _build_scann(directory, vectors, declared)
    else:
        description = IndexDescription(type="exact", items=len(item_ids), width=int(vectors.shape[1]))
    text = description.model_dump_json(indent=2, exclude_none=True)
    (directory / DESCRIPTION).write_text(text, encoding="utf-8")
    (directory / IDS).write_text(json.dumps(list(item_ids)), encoding="utf-8")
    return description


def load_index(directory: Path, vectors: np.ndarray) -> Index:
    """Open the index in `directory` over the release's `vectors` `[items, width]`.

    Raises:
        UserError: when index and vectors do not belong together.
    """
    description = IndexDescription.read(directory)
    if (description.items, description.width) != vectors.shape:
        raise UserError(
            f"`{directory}` must index the vectors of its release. Received: an index of {description.items} x "
            f"{description.width} beside vectors of {vectors.shape[0]} x {vectors.shape[1]}. Export again."
        )
    if description.type == "exact":
        return ExactSearch(vectors)
    searcher = _scann().load_searcher(str(directory))
    return ScannSearch(searcher, vectors, description.reorder or 0)


def _build_scann(directory: Path, vectors: np.ndarray, declared: ScannIndex) -> IndexDescription:
    """Build with about √items leaves, a tenth of them searched, and 550 items scored exactly.

    On a million clustered vectors that finds .984 of the hundred nearest; with 300 scored exactly it was .945, however
    many leaves were searched (benchmarks/results/retrieval.json).
    """
    if len(vectors) < SCANN_LEAST:
        raise UserError(
            f"`export/embeddings.yaml`, `index`: ScaNN needs at least {SCANN_LEAST} items. Received: {len(vectors)}. "
            "Declare `type: exact` or `type: auto`."
        )
    with np.errstate(over="ignore"):
        broken = ~np.isfinite(np.square(vectors, dtype=np.float32).sum(1))
    if broken.any():
        # ScaNN's k-means would end the process.
        raise UserError(
            f"item vectors must have finite squared lengths in float32. Received: {int(broken.sum()):,} of "
            f"{len(vectors):,} that have not, first at row {int(broken.argmax())}. Look at the quality features."
        )
    leaves = declared.leaves or max(int(np.sqrt(len(vectors))), 1)
    searched = declared.leaves_to_search or max(leaves // 10, min(leaves, 100))
    searcher = (
        _scann()
        .builder(np.ascontiguousarray(vectors, np.float32), declared.reorder, "dot_product")
        .tree(num_leaves=leaves, num_leaves_to_search=searched, training_sample_size=min(len(vectors), 250_000))
        .score_ah(2, anisotropic_quantization_threshold=0.2)
        .build()
    )
    # Relative: the release is written beside its place and renamed.
    searcher.serialize(str(directory), relative_path=True)
    return IndexDescription(
        type="scann",
        items=len(vectors),
        width=int(vectors.shape[1]),
        leaves=leaves,
        leaves_to_search=searched,
        reorder=declared.reorder,
    )


def _scann() -> Any:
    """Return ScaNN's searchers, without TensorFlow, which only ScaNN's graph ops need.

    `import scann` takes TensorFlow along where it finds it: 600 MB and three seconds in a process that has no other use
    for it. So it is kept from finding it, where it is not loaded already.
    """
    if "scann" in sys.modules or "tensorflow" in sys.modules:
        return importlib.import_module(_SEARCHERS)
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # makes `import tensorflow` a ModuleNotFoundError
    try:
        return importlib.import_module(_SEARCHERS)
    finally:
        del sys.modules["tensorflow"]
