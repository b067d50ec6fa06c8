"""Index `scann`: Google's ScaNN, in process."""

import ctypes
import importlib
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.errors import UserError
from unified_ranker.release.indexes.base import INDEXES, Index, IndexKind

_SEARCHERS = "scann.scann_ops.py.scann_ops_pybind"
_SET_LOG_LEVEL, _ERRORS_ALONE = "_ZN4absl12lts_2025012714SetMinLogLevelENS0_18LogSeverityAtLeastE", 2
"""absl::SetMinLogLevel of the Abseil that ScaNN 1.4.2 is linked with, and its level of errors."""
SCANN_LEAST = 16
"""Items below which ScaNN cannot train its codebooks of 16 centres."""


@INDEXES.declare
class ScannIndex(IndexKind):
    """ScaNN: partition, score by hashed residuals, reorder exactly."""

    type: Literal["scann"]
    leaves: int | None = Field(None, ge=1)
    """Number of partitions; null: by the size of the catalogue."""
    leaves_to_search: int | None = Field(None, ge=1)
    """Number of partitions that a query searches; null: by the size of the catalogue."""
    reorder: int = Field(550, ge=1)
    """Number of best items that are scored exactly."""

    def build(self, directory: Path, vectors: np.ndarray) -> dict[str, int | float | str]:
        """See `IndexKind.build`: about √items leaves, a tenth of them searched, and 550 items scored exactly.

        On a million clustered vectors that finds .984 of the hundred nearest; with 300 scored exactly it was .945,
        however many leaves were searched (benchmarks/results/retrieval.json).
        """
        if len(vectors) < SCANN_LEAST:
            raise UserError(
                f"`export/embeddings.yaml`, `index`: ScaNN needs at least {SCANN_LEAST} items. "
                f"Received: {len(vectors)}. Declare `type: exact` or `type: auto`."
            )
        with np.errstate(over="ignore"):
            broken = ~np.isfinite(np.square(vectors, dtype=np.float32).sum(1))
        if broken.any():
            # On such vectors ScaNN's k-means would crash the process.
            raise UserError(
                f"item vectors must have finite squared lengths in float32. Received: {int(broken.sum()):,} of "
                f"{len(vectors):,} without, first at row {int(broken.argmax())}. Check the quality features."
            )
        leaves = self.leaves or max(int(np.sqrt(len(vectors))), 1)
        searched = self.leaves_to_search or max(leaves // 10, min(leaves, 100))
        searcher = (
            _scann()
            .builder(np.ascontiguousarray(vectors, np.float32), self.reorder, "dot_product")
            .tree(num_leaves=leaves, num_leaves_to_search=searched, training_sample_size=min(len(vectors), 250_000))
            .score_ah(2, anisotropic_quantization_threshold=0.2)
            .build()
        )
        # Relative paths, because the release is written as a draft and then renamed.
        searcher.serialize(str(directory), relative_path=True)
        return {"leaves": leaves, "leaves_to_search": searched, "reorder": self.reorder}

    @classmethod
    def load(cls, directory: Path, vectors: np.ndarray, settings: Mapping[str, Any]) -> Index:
        """See `IndexKind.load`."""
        return ScannSearch(_scann().load_searcher(str(directory)), vectors, settings["reorder"])


class ScannSearch(Index):
    """ScaNN in process: partitions, anisotropic hashing of residuals (arXiv 1908.10396), and exact scores of the best.

    The exact scores are computed here and not by ScaNN, which would keep a copy of the vectors for them. Without the
    copy a million items take 280 MB less and load in a quarter of the time, in which ScaNN blocks the interpreter and
    so all requests.
    """

    def __init__(self, searcher: Any, vectors: np.ndarray, reorder: int) -> None:
        """Wrap a searcher of `scann.scann_ops_pybind` over `vectors` `[items, width]`; `reorder` are scored exactly."""
        self.searcher, self.vectors, self.reorder = searcher, vectors, reorder

    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """See `Index.search`; where the searched leaves hold too few, a row is padded with scores of NaN."""
        k, queries = min(k, len(self.vectors)), queries.astype(np.float32)
        # At least twice as many as are asked for, to keep the recall of the last ones.
        more = min(max(2 * k, self.reorder), len(self.vectors))
        found, guessed = self.searcher.search_batched(queries, final_num_neighbors=more)
        found = np.asarray(found, np.int64)
        scores = (self.vectors[found] @ queries[:, :, None])[..., 0]
        scores[~np.isfinite(guessed)] = np.nan
        best = np.argsort(-scores, axis=1)[:, :k]
        return np.take_along_axis(found, best, 1), np.take_along_axis(scores, best, 1)


def _scann() -> Any:
    """Return ScaNN's searchers, without TensorFlow, which only ScaNN's graph ops need.

    `import scann` imports TensorFlow if it is installed: 600 MB and three seconds in a process that does not use it.
    So TensorFlow is hidden during the import, unless it is loaded already.
    """
    if "scann" in sys.modules or "tensorflow" in sys.modules:
        return _quiet(importlib.import_module(_SEARCHERS))
    sys.modules["tensorflow"] = None  # type: ignore[assignment]  # makes `import tensorflow` a ModuleNotFoundError
    try:
        return _quiet(importlib.import_module(_SEARCHERS))
    finally:
        del sys.modules["tensorflow"]


def _quiet(searchers: ModuleType) -> ModuleType:
    """Let ScaNN log errors alone, and return it.

    Its C++ code writes lines to standard error in every build, such as "I0000 … PartitionerFactory ran in", and Python
    has no setting for them.
    """
    library = ctypes.CDLL(searchers.scann_pybind.__file__)
    if (set_level := getattr(library, _SET_LOG_LEVEL, None)) is not None:
        set_level(_ERRORS_ALONE)
    return searchers
