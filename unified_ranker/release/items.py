"""Item vectors of a release, and its catalogue: titles, creation times, offers and features of the items."""

import time
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from unified_ranker.prepare.prepared import Prepared

VECTORS_FILE = "vectors.parquet"
CATALOGUE_FILE = "catalogue.parquet"
AT_ONCE = 5_000
"""Rows that are converted into Python objects at once, which takes some milliseconds."""

_SHOWN = ("item_id", "title", "created_at", "countries", "available")
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


def write_catalogue(directory: Path, prepared: Prepared, features: Iterable[str] = ()) -> None:
    """Write the columns that answers show and filter by, and those of the features, in the order of the vectors.

    The first are `item_id`, `title`, `created_at`, and `countries` and `available` where the items table has them.
    """
    names = dict.fromkeys((*_SHOWN, *features))
    there = [name for name in names if name in prepared.items.columns]
    prepared.items[there].to_parquet(directory / CATALOGUE_FILE, index=False)


def read_catalogue(directory: Path) -> pd.DataFrame:
    """Read the columns that answers show and filter by."""
    file = pq.ParquetFile(directory / CATALOGUE_FILE)
    return file.read([name for name in _SHOWN if name in file.schema_arrow.names]).to_pandas()


@dataclass(frozen=True)
class ReleasedFields:
    """Fields of some items as a release has them.

    Attributes:
        columns: those that the release keeps; earlier releases keep none that only the model reads.
        by_item: the fields that an item has, by its id; times in seconds.
    """

    columns: frozenset[str]
    by_item: Mapping[str, dict[str, Any]]

    def keep(self, columns: Collection[str]) -> bool:
        """Tell whether the release keeps all of some columns."""
        return self.columns.issuperset(columns)


NO_FIELDS = ReleasedFields(frozenset(), {})
"""Fields of no item."""


def read_fields(directory: Path, item_ids: Collection[str]) -> ReleasedFields:
    """Read the fields of few items from the catalogue, which is searched for them."""
    file = directory / CATALOGUE_FILE
    found = pq.read_table(file, filters=pc.field("item_id").isin(pa.array(item_ids, pa.string())))
    rows = [{name: value for name, value in row.items() if value is not None} for row in found.to_pylist()]
    for row in rows:
        if "created_at" in row:
            row["created_at"] = int(row["created_at"].timestamp())
    return ReleasedFields(frozenset(found.column_names), {row.pop("item_id"): row for row in rows})
