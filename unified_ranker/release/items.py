"""Item vectors of a release, and its catalogue: titles, creation times and offers of the items."""

import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.prepare.prepared import Prepared

VECTORS_FILE = "vectors.parquet"
CATALOGUE_FILE = "catalogue.parquet"
AT_ONCE = 5_000
"""Rows that are converted into Python objects at once, which takes some milliseconds."""

_WRITTEN_AT_ONCE = 100_000
"""Rows of a row group; all of a million items at once would be held three times."""


def write_items(directory: Path, item_ids: np.ndarray, vectors: np.ndarray) -> None:
    """Write `item_id` and `vector` (fixed-size list of float32) as Parquet into `directory`."""
    width = vectors.shape[1]
    schema = pa.schema([("item_id", pa.string()), ("vector", pa.list_(pa.float32(), width))])
    with pq.ParquetWriter(directory / VECTORS_FILE, schema) as writer:
        for start in range(0, len(item_ids), _WRITTEN_AT_ONCE):
            ids, part = (column[start : start + _WRITTEN_AT_ONCE] for column in (item_ids, vectors))
            flat = pa.array(part.reshape(-1).astype(np.float32, copy=False))
            columns = [pa.array(ids, pa.string()), pa.FixedSizeListArray.from_arrays(flat, width)]
            writer.write_table(pa.table(columns, schema=schema))


def read_items(directory: Path) -> tuple[np.ndarray, np.ndarray]:
    """Read what `write_items` wrote: ids `[items]` and vectors `[items, width]`."""
    table = pq.read_table(directory / VECTORS_FILE)
    column = table["vector"].combine_chunks()
    flat = column.flatten().to_numpy(zero_copy_only=False)
    return text_objects(table["item_id"]), flat.reshape(len(table), -1)


def text_objects(column: pa.Array | pa.ChunkedArray) -> np.ndarray:
    """Return a column as Python text, in parts: a million rows at once would block all other threads."""
    out, end = np.empty(len(column), object), 0
    for part in column.chunks if isinstance(column, pa.ChunkedArray) else [column]:
        for start in range(0, len(part), AT_ONCE):
            few = part.slice(start, AT_ONCE).to_numpy(zero_copy_only=False)
            out[end : end + len(few)], end = few, end + len(few)
            time.sleep(0)
    return out


def write_catalogue(directory: Path, prepared: Prepared) -> None:
    """Write the columns that answers show and filter by, in the order of the vectors.

    They are `item_id`, `title`, `created_at`, and `countries` and `available` where the items table has them.
    """
    names = ["item_id", "title", "created_at", *(n for n in ("countries", "available") if n in prepared.items.columns)]
    prepared.items[names].to_parquet(directory / CATALOGUE_FILE, index=False)


def read_catalogue(directory: Path) -> pd.DataFrame:
    """Read what `write_catalogue` wrote."""
    return pd.read_parquet(directory / CATALOGUE_FILE)
