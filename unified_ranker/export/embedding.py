"""Embedding of the catalogue by the exported model."""

from collections.abc import Iterator

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.errors import UserError
from unified_ranker.core.signature_names import EMBED_ITEMS, ITEM_VECTOR
from unified_ranker.export.savedmodel import Served
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.served_columns import item_inputs
from unified_ranker.towers.tensorflow import tf

_BATCHES_AT_ONCE = 16
"""Batches of items whose fields are read from the table at once."""


def embed_catalogue(served: Served, prepared: Prepared, config: Config) -> np.ndarray:
    """Embed all items through the exported `embed_items` signature, `[items, dim + quality]`.

    The vectors of a release thus come from the same graph that it serves.

    Raises:
        UserError: a vector is zero or not finite.
    """
    embed = served[EMBED_ITEMS]
    vectors, end = np.empty((len(prepared.items), config.query_dim), np.float32), 0
    for batch in item_batches(prepared.items, config):
        part = embed(**batch)[ITEM_VECTOR].numpy()
        vectors[end : end + len(part)], end = part, end + len(part)
    broken = ~np.isfinite(vectors).all(1) | (np.linalg.norm(vectors[:, : config.towers.item.dim], axis=1) < 1e-6)
    if broken.any():
        examples = ", ".join(prepared.item_ids[broken][:3])
        raise UserError(
            f"item vectors must be finite and not zero. Received: {int(broken.sum())} that are not, e.g. {examples}. "
            "Train again, with a lower `training.learning_rate`, and check the training curves."
        )
    return vectors


def item_batches(items: pd.DataFrame, config: Config) -> Iterator[dict[str, tf.Tensor]]:
    """Yield rows of a prepared table of items as inputs of `embed_items`, in batches."""
    size = config.export.embeddings.batch_size
    for begin in range(0, len(items), _BATCHES_AT_ONCE * size):
        # In parts, because text is Python objects there: those of a million items take half a gigabyte.
        part = items.iloc[begin : begin + _BATCHES_AT_ONCE * size]
        inputs = item_inputs(part, config.towers.item.features)
        for start in range(0, len(part), size):
            yield {name: tf.constant(column[start : start + size]) for name, column in inputs.items()}
