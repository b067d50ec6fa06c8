"""Towers of a release as functions from fields to embeddings."""

import functools
import gc
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from unified_ranker.core.signature_names import EMBED_ITEMS, ENCODE, ITEM_VECTOR, QUERY_VECTOR
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.towers.tensorflow import text_ops, tf


class SavedTowers:
    """Item tower and query side of a SavedModel, cut down to their embeddings.

    The quality part of the vectors is left out: it is not part of the space, and changes from day to day.
    """

    def __init__(self, saved_model: Path, dim: int, with_text_ops: bool = False) -> None:
        """Load the model with embeddings of width `dim`; `with_text_ops`: it holds ops of TensorFlow Text."""
        if with_text_ops:
            text_ops()
        # Kept, because the functions hold no reference to the variables.
        self._loaded = tf.saved_model.load(str(saved_model))
        self._items = self._cut(EMBED_ITEMS, ITEM_VECTOR, dim)
        self._requests = self._cut(ENCODE, QUERY_VECTOR, dim)

    def items(self, fields: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Return unit vectors `[batch, dim]` of items from their fields."""
        return self._items(dict(fields)).numpy()

    def requests(self, fields: Mapping[str, Any]) -> npt.NDArray[np.float32]:
        """Return unit vectors `[batch, dim]` of requests."""
        return self._requests({name: tf.constant(column) for name, column in fields.items()}).numpy()

    def _cut(self, signature: str, output: str, dim: int) -> Any:
        """Wrap a signature, so that TensorFlow prunes the parts of the graph that only other outputs need."""
        call = self._loaded.signatures[signature]
        inputs = call.structured_input_signature[1]

        @tf.function(input_signature=[inputs], autograph=False)  # type: ignore[untyped-decorator]
        def embed(fields: dict[str, tf.Tensor]) -> tf.Tensor:
            return call(**fields)[output][:, :dim]

        return embed


@functools.lru_cache(maxsize=2)
def load_towers(release: Path) -> SavedTowers:
    """Load the towers of a release; a process keeps the two that it used last."""
    manifest = read_manifest(release)
    towers = SavedTowers(Layout(release).saved_model(), manifest.config.towers.item.dim, manifest.has_text_ops)
    # A TensorFlow graph has some hundred thousand Python objects, which each garbage collection would walk through.
    gc.freeze()
    return towers
