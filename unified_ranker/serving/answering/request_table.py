"""Bulk scoring: a table of requests in, a table of answers out."""

from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq

from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.core.files import whole_file
from unified_ranker.core.numbers import MOST_LIMIT, is_bounded, number_text
from unified_ranker.core.progress import Progress
from unified_ranker.core.request import NO_HISTORY, Request
from unified_ranker.log.column_types import is_country, to_integers, to_text
from unified_ranker.log.strict_columns import check_names, converted, refuse, refuse_long_ids, times_of
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.reading.typed_table import read_table
from unified_ranker.serving.answering.history_column import histories_of
from unified_ranker.serving.answering.recommending import Answer

_REQUIRED = ("user_id", "task")
_TEXT = (*_REQUIRED, "query", "source_item_id", "query_item_id", "country")
_IDS = (*_REQUIRED, "source_item_id", "query_item_id")
_COLUMNS = (*_TEXT, "timestamp", "limit", "history")
_ROWS_AT_ONCE = 200_000
ANSWER_SCHEMA = pa.schema(
    [("row", pa.int64()), ("rank", pa.int32()), ("item_id", pa.string()), ("score", pa.float32())]
)
"""A table of answers: `row` numbers the requests from 0, `rank` the answers to one from 1."""


class TableError(UserError):
    """Error in a table of requests."""


def read_requests(
    path: Path, tasks: Collection[str], log: Callable[[], LogHistory | None], limit: int
) -> list[Request]:
    """Read a file with a table of requests; see `requests_of`.

    Args:
        path: Parquet or CSV.
        tasks: as for `requests_of`.
        log: as for `requests_of`.
        limit: as for `requests_of`.

    Raises:
        UserError: the file cannot be read, or `requests_of` refuses the table; the message names the file.
    """
    table = read_table(path)
    try:
        return requests_of(table, tasks, log, limit)
    except TableError as error:
        raise UserError(f"`{path}`: {error}") from error


def requests_of(
    table: pa.Table, tasks: Collection[str], log: Callable[[], LogHistory | None], limit: int
) -> list[Request]:
    """Return the requests of a table (docs/reference/interaction-log.md).

    Where the table has no column `history`, a row's history is that of the log strictly before the row's `timestamp`.
    A row without a time gets the present one.

    Args:
        table: `[requests, columns]`.
        tasks: the known tasks.
        log: opens the project's event log, None where there is none; called only where it is needed.
        limit: for rows without a `limit` of their own; 0 = as the task declares.

    Raises:
        TableError: a column is missing, unknown or of the wrong type, a row has no task or an unknown one, or a
            time or number is invalid.
    """
    try:
        check_names(table.column_names, _COLUMNS, _REQUIRED, "a request")
        if not is_bounded(limit, 0, MOST_LIMIT):
            raise UserError(
                f"`limit` must be from 0 (as the task declares) to {MOST_LIMIT:,}. Received: {number_text(limit)}."
            )
        text = {name: _text(table, name) for name in _TEXT}
        _check_tasks(text["task"], tasks)
        _check_countries(text["country"])
        times, limits = _times(table), _limits(table, limit)
        histories = histories_of(table["history"]) if "history" in table.column_names else None
    except UserError as error:
        raise TableError(str(error)) from error
    if histories is None:
        opened = log()
        histories = [
            opened.before(user, int(time)) if opened is not None and user else NO_HISTORY
            for user, time in zip(text["user_id"], times, strict=True)
        ]
    fields = {**text, "timestamp": times.tolist(), "limit": limits, "history": histories}
    return [Request(**{name: column[row] for name, column in fields.items()}) for row in range(len(table))]


def _text(table: pa.Table, name: str) -> list[str]:
    if name not in table.column_names:
        return [""] * len(table)
    found = list(converted(name, table[name], to_text).fillna(""))
    if name in _IDS:
        refuse_long_ids(name, found)
    return found


def _check_tasks(found: list[str], known: Collection[str]) -> None:
    bad = np.array([not task for task in found], bool)
    refuse(bad, found, "`task` is present", "none", "fill it in, or remove the rows")
    for row, task in enumerate(found):
        if task not in known:
            raise UserError(f"row {row}: {unknown_name('task', task, known)}")


def _check_countries(found: list[str]) -> None:
    bad = np.array([bool(code) and not is_country(code) for code in found], bool)
    remedy = "write codes such as GB, and null where the country is unknown"
    refuse(bad, found, "`country` is two capital letters (ISO 3166 alpha-2) or null", "other text", remedy)


def _times(table: pa.Table) -> Ints:
    if "timestamp" not in table.column_names:
        return np.zeros(len(table), np.int64)
    return times_of("timestamp", table["timestamp"])


def _limits(table: pa.Table, default: int) -> list[int]:
    if "limit" not in table.column_names:
        return [default] * len(table)
    given = converted("limit", table["limit"], to_integers)
    bad = (~given.between(0, MOST_LIMIT)).fillna(False).to_numpy(bool)
    rule = f"`limit` is from 0 (as the task declares) to {MOST_LIMIT:,}"
    refuse(bad, given.tolist(), rule, "other numbers", "correct it, or write null for the value of `--limit`")
    return [int(n) for n in given.fillna(default)]


def answer_file(answers: Iterable[Answer], requests: int, output: Path) -> int:
    """Write the answers to all requests into a file; returns the number of rows.

    The file is CSV where `output` ends in `.csv`, else Parquet. It is written completely or not at all.

    Args:
        answers: in the order of the requests.
        requests: their number.
        output: the file.

    Raises:
        UserError: when the file cannot be written there.
    """
    written = 0
    writer_of = pa_csv.CSVWriter if output.suffix.lower() == ".csv" else pq.ParquetWriter
    try:
        with whole_file(output) as draft, writer_of(str(draft), ANSWER_SCHEMA) as writer:
            for part in answer_tables(answers, requests):
                writer.write_table(part)
                written += len(part)
    except OSError as error:
        raise UserError(f"`{output}` cannot be written: {error.strerror}. Name another file.") from error
    return written


def answer_tables(answers: Iterable[Answer], requests: int) -> Iterator[pa.Table]:
    """Yield the answers to all requests as tables of the form `ANSWER_SCHEMA`, at least one, and report progress."""
    part: dict[str, list] = {name: [] for name in ANSWER_SCHEMA.names}
    with Progress("recommend", requests, "requests") as progress:
        for number, answer in enumerate(answers):
            for rank, item in enumerate(answer.items, start=1):
                part["row"].append(number)
                part["rank"].append(rank)
                part["item_id"].append(item.item_id)
                part["score"].append(item.score)
            progress.advance()
            if len(part["row"]) >= _ROWS_AT_ONCE:
                yield pa.table(part, schema=ANSWER_SCHEMA)
                part = {name: [] for name in part}
    yield pa.table(part, schema=ANSWER_SCHEMA)
