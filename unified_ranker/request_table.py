"""Requests in a table, and answers in another: bulk scoring."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from tqdm import tqdm

from unified_ranker.columns import ColumnError, to_times
from unified_ranker.data.tables import read_table
from unified_ranker.errors import UserError, nearest
from unified_ranker.export.log_history import LogHistory
from unified_ranker.export.requests import NO_HISTORY, History, Request
from unified_ranker.recommending import Recommender

REQUIRED = ("user_id", "task")
TEXT = ("query", "source_item_id", "query_item_id", "country")
COLUMNS = (*REQUIRED, *TEXT, "timestamp", "limit", "history")
ROWS_AT_ONCE = 200_000


def read_requests(path: Path, log: LogHistory | None, limit: int) -> list[Request]:
    """Read a table of requests (design section 3).

    Where a row has a time and the table no `history`, the history is what `log` holds strictly before that time.

    Args:
        path: Parquet or CSV.
        log: the project's event log, or None to take no history from one.
        limit: for rows without a `limit` of their own.

    Raises:
        UserError: a column is missing or unknown, or a row has no task.
    """
    table = read_table(path)
    missing = [name for name in REQUIRED if name not in table.column_names]
    if missing:
        raise UserError(
            f"`{path}`: a table of requests needs the columns {', '.join(f'`{n}`' for n in REQUIRED)}. "
            f"Received: {', '.join(table.column_names) or 'none'}.{nearest(missing[0], table.column_names)}"
        )
    unknown = [name for name in table.column_names if name not in COLUMNS]
    if unknown:
        raise UserError(
            f"`{path}`: the column `{unknown[0]}` is not one of a request. "
            f"Allowed: {', '.join(f'`{n}`' for n in COLUMNS)}.{nearest(unknown[0], COLUMNS)}"
        )
    times = _seconds(table, path)
    given = "history" in table.column_names
    return [_request(row, int(times[i]), given, log, limit, path, i) for i, row in enumerate(table.to_pylist())]


def _request(
    row: dict[str, Any], time: int, given: bool, log: LogHistory | None, limit: int, path: Path, number: int
) -> Request:
    if not row["task"]:
        raise UserError(f"`{path}`, row {number}: a request needs a `task`. Received: {row['task']!r}.")
    user = "" if row["user_id"] is None else str(row["user_id"])
    history = NO_HISTORY
    if given:
        history = History.of({**e, "timestamp": _moment(e["timestamp"])} for e in row["history"] or [])
    elif log is not None and user:
        history = log.before(user, time)
    text = {name: "" if row.get(name) is None else str(row[name]) for name in TEXT}
    return Request(user, str(row["task"]), **text, timestamp=time, limit=int(row.get("limit") or limit), history=history)


def _seconds(table: pa.Table, path: Path) -> np.ndarray:
    """Return the rows' times in seconds, 0 where absent."""
    if "timestamp" not in table.column_names:
        return np.zeros(len(table), np.int64)
    try:
        stamps = to_times(table["timestamp"])
    except ColumnError as error:
        raise UserError(f"`{path}`, column `timestamp`: {error}") from error
    values = stamps.to_numpy("datetime64[us]")
    return np.where(np.isnat(values), 0, values.astype("datetime64[s]").astype(np.int64))


def _moment(value: Any) -> int:
    return int(value.timestamp()) if hasattr(value, "timestamp") else int(value)


def answer_table(recommender: Recommender, requests: list[Request], output: Path, progress: bool) -> int:
    """Answer all requests into a Parquet file with `row, rank, item_id, score`; returns the number of rows written.

    `row` numbers the requests from 0, `rank` the answers to one from 1. The file appears whole or not at all.
    """
    schema = pa.schema(
        [("row", pa.int64()), ("rank", pa.int32()), ("item_id", pa.string()), ("score", pa.float32())]
    )
    output.parent.mkdir(parents=True, exist_ok=True)
    handle, draft = tempfile.mkstemp(prefix=f".{output.name}-", dir=output.parent)
    os.close(handle)
    written = 0
    try:
        with pq.ParquetWriter(draft, schema) as writer, tqdm(
            total=len(requests), desc="recommend", unit="request", disable=not progress
        ) as bar:
            for part in _parts(recommender, requests, bar):
                writer.write_table(pa.table(part, schema=schema))
                written += len(part["row"])
        os.chmod(draft, 0o644)
        os.replace(draft, output)
    except BaseException:
        os.unlink(draft)
        raise
    return written


def _parts(recommender: Recommender, requests: list[Request], bar: Any) -> Iterator[dict[str, list]]:
    part: dict[str, list] = {"row": [], "rank": [], "item_id": [], "score": []}
    for number, answer in enumerate(recommender.answer(requests)):
        for rank, item in enumerate(answer.items, start=1):
            part["row"].append(number)
            part["rank"].append(rank)
            part["item_id"].append(item.item_id)
            part["score"].append(item.score)
        bar.update(1)
        if len(part["row"]) >= ROWS_AT_ONCE:
            yield part
            part = {name: [] for name in part}
    yield part
