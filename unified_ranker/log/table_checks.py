"""Checks of tables as they were read: before pandas, which does not distinguish null from NaN."""

import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.errors import listed
from unified_ranker.log.absent_words import is_word
from unified_ranker.log.check import Check
from unified_ranker.log.column_names import hint_for_name
from unified_ranker.log.column_types import MAX_EXAMPLES, decoded, is_text
from unified_ranker.log.row_rules import Harm
from unified_ranker.log.schema import LOG_COLUMNS, Table, arrow_columns, column_names, unknown_event_columns


def known_columns(events: Table) -> Check:
    """Check that the events table has no column that would be ignored."""
    found = column_names(events)
    names, free = unknown_event_columns(found), [c for c in LOG_COLUMNS["events"] if c not in found]
    return Check(
        "events has no column beyond the contract",
        passed=not names,
        what_to_do=f"ignored; if it is {listed(free)}, say so: `data.columns.events.NAME: {names[0]}`" if names else "",
        severity="warning",
        harm=Harm.SLIGHT,
        found=", ".join(f"`{name}`{hint_for_name('events', name, free)}" for name in names),
    )


def finite_numbers(tables: Mapping[str, Table]) -> list[Check]:
    """Check each column of fractional numbers for NaN and infinity."""
    checks = []
    for name, table in tables.items():
        names, columns = column_names(table), arrow_columns(table)
        for column_name, column in zip(names, columns, strict=True):
            if name == "events" and column_name not in LOG_COLUMNS["events"]:
                continue
            if isinstance(column, pa.ArrowInvalid) or not pt.is_floating(decoded(column).type):
                continue
            column = decoded(column)
            odd = pc.fill_null(pc.invert(pc.is_finite(column)), False)
            # Not `pc.indices_nonzero`: pyarrow 25.0.1 crashes in it on a column of no chunks, as an empty
            # table has.
            bad = np.flatnonzero(odd.to_numpy())
            key = [c for c in ("user_id", "item_id", "timestamp") if c in names and c != column_name]
            shown = [*key, column_name]
            rows = {c: columns[names.index(c)] for c in shown}
            # The number itself as text: as a number, NaN would be left out of the line like a null.
            examples = tuple(
                {c: _value(values, int(row)) for c, values in rows.items()}
                | {column_name: str(column[int(row)].as_py())}
                for row in bad[:MAX_EXAMPLES]
            )
            checks.append(
                Check(
                    f"{name}.{column_name} is finite or null",
                    not len(bad),
                    len(bad),
                    examples,
                    "write null where there is no number, and find out where NaN or infinity comes from",
                    total=len(column),
                )
            )
    return checks


def absence_checks(name: str, table: Table) -> list[Check]:
    """Check each column of text for words that mean absent, and count them: the log has null in their place."""
    checks = []
    for column_name, column in zip(column_names(table), arrow_columns(table), strict=True):
        if isinstance(column, pa.ArrowInvalid) or not is_text(decoded(column).type):
            continue
        text = decoded(column)
        words = text.filter(is_word(text))
        checks.append(
            Check(
                f"{name}.{column_name} has no words that mean absent",
                not len(words),
                len(words),
                tuple(words.unique().slice(0, MAX_EXAMPLES).to_pylist()),
                _spelt_so(name, column_name, words[0].as_py()) if len(words) else "",
                "warning",
                total=len(text),
                harm=Harm.MISREAD,
            )
        )
    return checks


def _spelt_so(table: str, column: str, word: str) -> str:
    values = f"{{{json.dumps(word)}: no value}}"
    return (
        "nothing, where they mean it: they are read as null; a value that is spelt so needs another name: "
        f"`data.columns.{table}.{column}: {{column: {column}, values: {values}}}`"
    )


def _value(column: pa.ChunkedArray | pa.ArrowInvalid, row: int) -> Any:
    return None if isinstance(column, pa.ArrowInvalid) else column[row].as_py()
