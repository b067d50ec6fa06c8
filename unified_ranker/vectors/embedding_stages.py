"""Stages of the export: pure functions from rows of the prepared data to Arrow tables of vectors."""

import json
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from unified_ranker.core.arrays import Arrays, Ints
from unified_ranker.core.request import NO_HISTORY, History, Request, model_inputs, to_arrays
from unified_ranker.core.windows import last_events
from unified_ranker.engines.job import Outputs, Reader
from unified_ranker.engines.shards import read_parts
from unified_ranker.export.embedding import item_batches
from unified_ranker.prepare.prepared import NAMES_FILE
from unified_ranker.prepare.stage_names import SECOND
from unified_ranker.vectors.embedding_source import ITEM_ROWS, USER_ROWS, EmbeddingSource, query_task, user_task
from unified_ranker.vectors.saved_towers import load_towers

VECTORS_STAGE = "vectors"
_BATCHES = 4
"""Batches whose fields are made together: enough to be fast, few enough to overlap with the embedding."""


@dataclass(frozen=True)
class EmbedItems:
    """Embeds a range of the catalogue from the items' fields."""

    source: EmbeddingSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Return `id`, `vector`, `cold` of the shard's items."""
        source, towers = self.source, load_towers(self.source.release)
        table = read_parts(source.prepared / "items.arrow").slice(shard * ITEM_ROWS, ITEM_ROWS)

        def embed(rows: pa.Table) -> np.ndarray:
            return np.concatenate([towers.items(batch) for batch in item_batches(rows.to_pandas(), source.config)])

        size = _BATCHES * source.config.export.embeddings.batch_size
        parts = overlapped(embed, (table.slice(start, size) for start in range(0, len(table), size)))
        return {VECTORS_STAGE: [vector_table(table["item_id"], np.concatenate(parts), np.zeros(len(table), bool))]}


@dataclass(frozen=True)
class EmbedUsers:
    """Embeds a range of users from their events before `source.as_of`."""

    source: EmbeddingSource

    def __call__(self, shard: int, reader: Reader) -> Outputs:
        """Return `id`, `vector`, `cold` of the shard's users; cold ones have no history."""
        source, towers = self.source, load_towers(self.source.release)
        start = shard * USER_ROWS
        end = min(start + USER_ROWS, source.users)
        ids = read_parts(source.prepared / "users.arrow")["user_id"].slice(start, end - start).to_numpy().astype(object)
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
class EmbedQueries:
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
        parts = []
        for file in source.histories:
            if file.last < start or file.first >= end:
                continue
            table = read_parts(file.file)
            low, high = np.searchsorted(table["user"].to_numpy(), [start, end])
            part = table.slice(low, high - low)
            parts.append(part.filter(pa.array(part["time"].to_numpy() < source.as_of * SECOND)))
        names = json.loads((source.prepared / NAMES_FILE).read_text(encoding="utf-8"))
        self._events = NO_HISTORY
        user = np.zeros(0, np.int64)
        if parts:
            table = pa.concat_tables(parts).combine_chunks()
            user = table["user"].to_numpy()
            self._events = History(
                item_id=self._items(table["item"].to_numpy()),
                event_type=np.array([*names["event_types"], ""], object)[table["event_type"].to_numpy()],
                task=np.array([*names["tasks"], ""], object)[table["task"].to_numpy()],
                timestamp=np.floor_divide(table["time"].to_numpy(), SECOND),
                value=table["value"].fill_null(0.0).to_numpy(),
            )
        bounds = np.searchsorted(user, np.arange(start, end + 1))
        self._end, self.length = bounds[1:], np.diff(bounds)

    def requests(self, ids: np.ndarray, rows: Ints) -> Arrays:
        """Return requests of the users at `rows` as inputs of the model, without a query, as of the moment."""
        source = self._source
        windows = last_events(self._end[rows], self.length[rows], source.config.towers.user.history_length)
        given = {"user_id": ids[rows], "task": user_task(source.config), "timestamp": source.as_of}
        return model_inputs(len(rows), given, windows, self._events.take(windows.rows))

    def _items(self, item: np.ndarray) -> np.ndarray:
        """Return the ids of items; only those are read, because a catalogue may be large."""
        column = read_parts(self._source.prepared / "items.arrow")["item_id"]
        known, place = np.unique(item, return_inverse=True)
        names = column.take(pa.array(np.maximum(known, 0))).to_numpy().astype(object)
        return np.where(known < 0, "", names)[place]


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


def vector_matrix(table: pa.Table) -> np.ndarray:
    """Return the vectors `[n, width]` of such a table."""
    column = table["vector"].combine_chunks()
    return column.flatten().to_numpy().reshape(len(table), column.type.list_size)
