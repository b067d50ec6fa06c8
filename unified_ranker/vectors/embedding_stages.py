"""Stages of the export: pure functions from rows of the prepared data to Arrow tables of vectors."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from unified_ranker.core.arrays import Arrays, Ints
from unified_ranker.core.request import Request, model_inputs, to_arrays
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.export.embedding import item_batches
from unified_ranker.vectors.embedding_source import ITEM_ROWS, USER_ROWS, EmbeddingSource, query_task, user_task
from unified_ranker.vectors.saved_towers import load_towers

VECTORS_STAGE = "vectors"
_BATCHES = 4
"""Batches whose fields are made together: enough to be fast, few enough to overlap with the embedding."""


@dataclass(frozen=True)
class EmbedItemsStage:
    """Embeds a range of the catalogue from the items' fields."""

    source: EmbeddingSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Return `id`, `vector`, `cold` of the shard's items."""
        source, towers = self.source, load_towers(self.source.release)
        table = source.prepared.items().slice(shard * ITEM_ROWS, ITEM_ROWS)

        def embed(rows: pa.Table) -> np.ndarray:
            return np.concatenate([towers.items(batch) for batch in item_batches(rows.to_pandas(), source.config)])

        size = _BATCHES * source.config.export.embeddings.batch_size
        parts = overlapped(embed, (table.slice(start, size) for start in range(0, len(table), size)))
        return {VECTORS_STAGE: [vector_table(table["item_id"], np.concatenate(parts), np.zeros(len(table), bool))]}


@dataclass(frozen=True)
class EmbedUsersStage:
    """Embeds a range of users from their events before `source.as_of`."""

    source: EmbeddingSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Return `id`, `vector`, `cold` of the shard's users; cold ones have no history."""
        source, towers = self.source, load_towers(self.source.release)
        start = shard * USER_ROWS
        end = min(start + USER_ROWS, source.users)
        ids = source.prepared.users()["user_id"].slice(start, end - start).to_numpy().astype(object)
        histories = UserHistories(source, start, end)
        out = np.zeros((len(ids), source.config.towers.item.dim), np.float32)
        # In order of the length of their histories, because a batch is as wide as its longest history.
        parts = np.array_split(np.argsort(histories.length, kind="stable"), self._batches(len(ids)))
        made = overlapped(towers.requests, (histories.requests(ids, rows) for rows in parts))
        for rows, vectors in zip(parts, made, strict=True):
            out[rows] = vectors
        return {VECTORS_STAGE: [vector_table(ids, out, histories.length == 0)]}

    def _batches(self, rows: int) -> int:
        return max(1, -(-rows // self.source.config.export.embeddings.users.batch_size))


@dataclass(frozen=True)
class EmbedQueriesStage:
    """Embeds the queries of the log, for an unknown user."""

    source: EmbeddingSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Return `id`, the text, `vector` and `cold`."""
        source, towers = self.source, load_towers(self.source.release)
        task, size = query_task(source.config), source.config.export.embeddings.users.batch_size
        asked = [Request("", task, query=query, timestamp=source.as_of) for query in source.queries]
        parts = [towers.requests(to_arrays(asked[at : at + size], 1)) for at in range(0, len(asked), size)]
        ids = np.array(source.queries, object)
        return {VECTORS_STAGE: [vector_table(ids, np.concatenate(parts), np.zeros(len(ids), bool))]}


class UserHistories:
    """Histories of a range of users before a moment, read from files.

    Attributes:
        length: number of events of each user before the moment, `[users]`.
    """

    def __init__(self, source: EmbeddingSource, start: int, end: int) -> None:
        """Read the events of users `start` to `end` (exclusive)."""
        self._source = source
        self._histories = source.prepared.histories(source.histories, start, end, source.as_of)
        self._events = self._histories.events(slice(None), source.prepared.ids_of)
        self.length = np.diff(self._histories.offsets)

    def requests(self, ids: np.ndarray, rows: Ints) -> Arrays:
        """Return requests of the users at `rows` as inputs of the model, without a query, as of the moment."""
        source = self._source
        most = source.config.towers.user.history_length
        windows = self._histories.windows(rows, self.length[rows], most)
        given = {"user_id": ids[rows], "task": user_task(source.config), "timestamp": source.as_of}
        return model_inputs(len(rows), given, windows, self._events.take(windows.rows))


def overlapped(embed: Callable[[Any], np.ndarray], batches: Iterable[Any]) -> list[np.ndarray]:
    """Embed batches in order, two at a time, while Python makes the next one.

    Two at a time, because many ops of the towers, above all those on text, use only one core.
    """
    with ThreadPoolExecutor(max_workers=2) as pool:
        return list(pool.map(embed, batches))


def vector_table(ids: np.ndarray | pa.ChunkedArray, vectors: np.ndarray, cold: np.ndarray) -> pa.Table:
    """Return `id`, `vector` (fixed-size list of float32) and `cold` as a table."""
    flat = pa.array(np.ascontiguousarray(vectors, np.float32).reshape(-1))
    column = pa.FixedSizeListArray.from_arrays(flat, vectors.shape[1])
    names = ids.cast(pa.string()) if isinstance(ids, pa.ChunkedArray) else pa.array(ids, pa.string())
    return pa.table({"id": names, "vector": column, "cold": pa.array(cold, pa.bool_())})


def vectors_of_table(table: pa.Table) -> np.ndarray:
    """Return the vectors `[n, width]` of such a table."""
    column = table["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), column.type.list_size)
