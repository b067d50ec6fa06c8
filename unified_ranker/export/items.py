"""The item vectors of a release, and what is shown of items beside them."""

from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.data.prepared import Prepared

VECTORS = "vectors.parquet"
CATALOGUE = "catalogue.parquet"


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
    """Write what answers show and filter by, in the order of the vectors.

    That is `item_id`, `title`, `created_at`, and `countries` and `available` where the items table has them.
    """
    names = ["item_id", "title", "created_at", *(n for n in ("countries", "available") if n in prepared.items.columns)]
    prepared.items[names].to_parquet(directory / CATALOGUE, index=False)


def read_catalogue(directory: Path) -> pd.DataFrame:
    """Read what `write_catalogue` wrote."""
    return pd.read_parquet(directory / CATALOGUE)
