"""The item vectors of a release, and what is shown of items beside them."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.config import Config
from unified_ranker.data.prepared import Prepared
from unified_ranker.errors import UserError
from unified_ranker.tensorflow import tf
from unified_ranker.towers.item import item_fields

VECTORS = "vectors.parquet"
CATALOGUE = "catalogue.parquet"


def embed_catalogue(saved_model: Path, prepared: Prepared, config: Config) -> np.ndarray:
    """Embed all items through the exported `embed_items` signature, `[items, dim + quality]`.

    The vectors of a release thus come from the very graph that it serves.

    Raises:
        UserError: when a vector is not finite or zero; no such release is written.
    """
    embed = tf.saved_model.load(str(saved_model)).signatures["embed_items"]
    parts = [embed(**batch)["item_vector"].numpy() for batch in _batches(prepared, config)]
    vectors = np.concatenate(parts)
    broken = ~np.isfinite(vectors).all(1) | (np.linalg.norm(vectors[:, : config.towers.item.dim], axis=1) < 1e-6)
    if broken.any():
        examples = ", ".join(prepared.item_ids[broken][:3])
        raise UserError(
            f"item vectors must be finite and not zero. Received: {int(broken.sum())} that are not, e.g. {examples}. "
            "Train again, with a lower `training.learning_rate`, and look at the training curves."
        )
    return vectors


def _batches(prepared: Prepared, config: Config) -> Iterator[dict[str, tf.Tensor]]:
    fields = item_fields(prepared.items, config.towers.item)
    created = np.maximum(prepared.created_at, 0)
    size = config.export.embeddings.batch_size
    for start in range(0, len(prepared.items), size):
        rows = slice(start, start + size)
        yield {
            "item_id": tf.constant(prepared.item_ids[rows], tf.string),
            "created_at": tf.constant(created[rows], tf.int64),
            **{name: tf.constant(column[rows]) for name, column in fields.items()},
        }


def write_items(directory: Path, item_ids: np.ndarray, vectors: np.ndarray) -> None:
    """Write `item_id` and `vector` (fixed-size list of float32) as Parquet into `directory`."""
    width = vectors.shape[1]
    column = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1).astype(np.float32)), width)
    pq.write_table(pa.table({"item_id": pa.array(item_ids, pa.string()), "vector": column}), directory / VECTORS)


def read_items(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read what `write_items` wrote: ids `[items]` and vectors `[items, width]`."""
    table = pq.read_table(directory / VECTORS)
    column = table["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return table["item_id"].to_numpy().astype(object), flat.reshape(len(table), -1)


def write_catalogue(directory: Path, prepared: Prepared) -> None:
    """Write what answers show and filter by: `item_id`, `title`, `created_at`, in the order of the vectors."""
    prepared.items[["item_id", "title", "created_at"]].to_parquet(directory / CATALOGUE, index=False)


def read_catalogue(directory: Path) -> pd.DataFrame:
    """Read what `write_catalogue` wrote."""
    return pd.read_parquet(directory / CATALOGUE)
