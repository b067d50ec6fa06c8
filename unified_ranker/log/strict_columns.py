"""Columns of a table from outside, strictly read: an error names the column, the rows and the remedy."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import UserError, listed, nearest
from unified_ranker.core.ids import MOST_ID_BYTES, fits_in_key
from unified_ranker.core.times import seconds
from unified_ranker.log.column_types import MAX_EXAMPLES, ColumnError, Converter, to_times
from unified_ranker.log.schema import Problem

EPOCH = "1970-01-01T00:00:00Z"


def check_names(found: Sequence[str], known: Sequence[str], required: Sequence[str], what: str) -> None:
    """Raise `UserError` when a required column of `what` is missing, one is unknown, or one occurs twice."""
    for name in required:
        if name not in found:
            raise UserError(
                f"the column `{name}` of {what} is missing. Received: {listed(found)}. "
                f"Rename or add it.{nearest(name, found)}"
            )
    for name in found:
        if name not in known:
            raise UserError(
                f"`{name}` is no column of {what}. Allowed: {listed(known)}. Rename or remove it.{nearest(name, known)}"
            )
        if found.count(name) > 1:
            raise UserError(f"the column `{name}` of {what} must occur once. Received: {found.count(name)}. Keep one.")


def converted(name: str, column: pa.ChunkedArray, convert: Converter) -> Any:
    """Return the column as one of the interaction log's types, or raise `UserError` with what does not fit."""
    try:
        return convert(column)
    except ColumnError as error:
        raise UserError(
            str(Problem(f"`{name}` {error.rule}", error.found, error.remedy, error.count, error.examples))
        ) from error


def refuse(bad: np.ndarray, values: Sequence[object], rule: str, found: str, remedy: str) -> None:
    """Raise `UserError` when a row is `bad` `[rows]`, with the first three of the `values` `[rows]`."""
    rows = np.flatnonzero(bad)
    if len(rows):
        examples = tuple(f"{values[row]} (row {row})" for row in rows[:MAX_EXAMPLES])
        raise UserError(str(Problem(rule, found, remedy, len(rows), examples)))


def refuse_long_ids(name: str, ids: Sequence[str]) -> None:
    """Raise `UserError` when an identifier `[rows]` is too long for the keys of a store."""
    bad = np.array([not fits_in_key(identifier) for identifier in ids], bool)
    rule = f"`{name}` has at most {MOST_ID_BYTES} bytes in UTF-8"
    refuse(bad, [f"{identifier[:20]}…" for identifier in ids], rule, "longer ones", "shorten them")


def times_of(name: str, column: pa.ChunkedArray) -> Ints:
    """Return times in seconds `[rows]`, 0 where absent, which no given time may be."""
    stamps = converted(name, column, to_times)
    absent, times = stamps.isna().to_numpy(bool), seconds(stamps)
    refuse(
        ~absent & (times <= 0), [str(stamp) for stamp in stamps], f"`{name}` lies after {EPOCH}", "earlier times",
        "correct the times; a wrong unit is the usual cause",
    )  # fmt: skip
    return np.where(absent, 0, times)
