"""The towers of a release as plain functions: fields in, embeddings out."""

import functools
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.towers.tensorflow import text_ops, tf


class SavedTowers:
    """Item tower and query side of a SavedModel, cut down to their embeddings.

    The quality part of the vectors is left out: it is no part of the space, and old by tomorrow.
    """

    def __init__(self, saved_model: Path, dim: int, with_text_ops: bool = False) -> None:
        """Load the model, whose embeddings are of `dim`; `with_text_ops` says that it holds ops of TensorFlow Text."""
        if with_text_ops:
            text_ops()
        # Kept: the functions hold no reference to the variables.
        self._loaded = tf.saved_model.load(str(saved_model))
        self._items = self._cut("embed_items", "item_vector", dim)
        self._requests = self._cut("encode", "query_vector", dim)

    def items(self, fields: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Return unit vectors `[batch, dim]` of items from their fields."""
        return self._items(dict(fields)).numpy()

    def requests(self, fields: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Return unit vectors `[batch, dim]` of requests."""
        return self._requests({name: tf.constant(column) for name, column in fields.items()}).numpy()

    def _cut(self, signature: str, output: str, dim: int) -> Any:
        """Wrap a signature, so that TensorFlow leaves out whatever goes into its other outputs alone."""
        call = self._loaded.signatures[signature]
        inputs = call.structured_input_signature[1]

        @tf.function(input_signature=[inputs], autograph=False)  # type: ignore[untyped-decorator]
        def embed(fields: dict[str, tf.Tensor]) -> tf.Tensor:
            return call(**fields)[output][:, :dim]

        return embed


@functools.lru_cache(maxsize=2)
def load_towers(release: Path) -> SavedTowers:
    """Load the towers of a release, once in a process; the two used last stay."""
    manifest = read_manifest(release)
    towers = SavedTowers(Layout(release).saved_model(), manifest.config.towers.item.dim, manifest.has_text_ops)
    # TensorFlow's graph is some hundred thousand Python objects, which every collection of rows' garbage would walk.
    gc.freeze()
    return towers
