"""The interaction log: its three tables, their columns and types, and their canonical form.

The columns and their meanings are the contract of the engine with every data source. `normalise` takes Arrow or
pandas tables and is strict about form: a missing required column, or a value that its column's type cannot hold,
is an error. `log.log_checks` checks the content (unknown items, duplicates, NaN).
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TypeAlias

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.errors import UserError, blanks_shown
from unified_ranker.core.offers import AVAILABLE, COUNTRIES
from unified_ranker.log.column_names import hint_for_column, hint_for_name
from unified_ranker.log.column_types import (
    TEXT,
    TIMES,
    ColumnError,
    Converter,
    to_availability,
    to_feature,
    to_flags,
    to_integers,
    to_lists,
    to_strengths,
    to_text,
    to_times,
)

logger = logging.getLogger(__name__)

Table: TypeAlias = pa.Table | pd.DataFrame

REQUIRED: Mapping[str, tuple[str, ...]] = {
    "events": ("user_id", "item_id", "task", "event_type", "timestamp"),
    "items": ("item_id",),
    "users": ("user_id",),
}
LOG_COLUMNS: Mapping[str, Mapping[str, Converter]] = {
    "events": {
        "user_id": to_text,
        "item_id": to_text,
        "task": to_text,
        "event_type": to_text,
        "timestamp": to_times,
        "query": to_text,
        "source_item_id": to_text,
        "query_item_id": to_text,
        "country": to_text,
        "value": to_strengths,
        "request_id": to_text,
        "position": to_integers,
        "event_id": to_text,
        "derived": to_flags,
    },
    "items": {
        "item_id": to_text,
        "title": to_text,
        "created_at": to_times,
        "categories": to_lists,
    },
    "users": {
        "user_id": to_text,
        "country": to_text,
        "created_at": to_times,
    },
}
# Optional columns: they are typed where a table has them, and not added where it has not.
OFFER_COLUMNS: Mapping[str, Converter] = {COUNTRIES: to_lists, AVAILABLE: to_availability}
SESSION = "session_id"
"""Column of events, where a table has it: events without a user are those of their session, a user of their own."""
SESSION_USER = "session:"
"""Begin of the user id of a session, so that no session is taken for a user with the same id."""
# Columns that order the events. Ties are ordered by the other columns, so that only identical rows tie.
EVENT_ORDER = ("timestamp", "user_id", "item_id", "task", "event_type")


@dataclass(frozen=True, eq=False)
class InteractionLog:
    """Interaction log: the three tables in canonical form.

    Attributes:
        events: `[events]`, ordered by time, with the columns `user_id` (null = anonymous), `item_id`, `task`,
            `event_type`, `timestamp`, `query`, `source_item_id`, `query_item_id`, `country`, `value`,
            `request_id`, `position`, `event_id`, `derived`. All are always there; null where the source had none,
            `derived` False. Text is pandas `str`, times are `datetime64[us, UTC]`, `value` is float32,
            `position` `Int64`, `derived` (made by a rule, not by a user) bool.
        items: `[items]`, ordered by id: `item_id`, `title`, `created_at`, `categories` (a list of `str`,
            empty when unknown), then every further column of the source: `countries` as lists of `str` and
            `available` as bool, the others typed as by `column_types.to_feature`.
        users: `[users]`, ordered by id: `user_id`, `country`, `created_at`, then every further column
            likewise.
    """

    events: pd.DataFrame
    items: pd.DataFrame
    users: pd.DataFrame


@dataclass(frozen=True)
class Problem:
    """Difference between a table and the form of the contract.

    Attributes:
        rule: the rule that is broken, with the column's name in it.
        found: what the table has.
        remedy: what to do.
        count: number of such rows; 0 when it is the whole table or column.
        examples: up to three offending values.
    """

    rule: str
    found: str
    remedy: str
    count: int = 0
    examples: tuple[str, ...] = ()

    def __str__(self) -> str:
        """Return the problem as one line."""
        counted = f" in {self.count} rows" if self.count else ""
        examples = ", e.g. " + ", ".join(f"`{blanks_shown(e)}`" for e in self.examples) if self.examples else ""
        return f"{self.rule}. Received: {self.found}{counted}{examples}. {self.remedy}"


def normalise(events: Table, items: Table, users: Table | None = None) -> InteractionLog:
    """Bring three tables into canonical form.

    Identifiers become strings: the number 12, or 12.0 as pandas stores it beside a null, becomes "12". Times
    may be timestamps, dates, ISO 8601 text, or whole numbers, which are epoch **seconds**; times without a
    zone are UTC. Blank text and words that mean absent (`log.absent_words`) are null. In a `pandas.DataFrame`, NaN
    means null, as it does everywhere in pandas.

    Args:
        events: `[events, columns]`. A column that the contract does not have is left out, with a log message. Events
            without a user that have a `session_id` get the user `session:` and this id.
        items: `[items, columns]`. Further columns are features and are kept.
        users: `[users, columns]`; None derives the table from the events' user ids.

    Returns:
        The log. The same rows in any order give the same log.

    Raises:
        UserError: a required column is missing, or a column has a type or values that it must not have. The
            message has one line per problem.
    """
    log, problems = try_normalise(events, items, users)
    if log is None:
        raise UserError("\n".join(str(problem) for problem in problems))
    return log


def try_normalise(
    events: Table, items: Table, users: Table | None = None
) -> tuple[InteractionLog | None, list[Problem]]:
    """Do as `normalise`, but return the problems instead of raising; the log is None when there are any."""
    problems: list[Problem] = []
    frames = {
        name: canonical(name, table, problems)
        for name, table in (("events", events), ("items", items), ("users", users))
        if table is not None
    }
    if problems:
        return None, problems
    if users is None:
        frames["users"] = users_of(frames["events"])
    return (
        InteractionLog(
            events=_ordered(frames["events"], [*EVENT_ORDER, *LOG_COLUMNS["events"]]),
            items=_ordered(frames["items"], ["item_id"]),
            users=_ordered(frames["users"], ["user_id"]),
        ),
        [],
    )


def unknown_event_columns(names: list[str]) -> list[str]:
    """Return the names among an events table's columns that the contract does not have."""
    return [name for name in names if name not in LOG_COLUMNS["events"] and name != SESSION]


def column_names(table: Table) -> list[str]:
    """Return the column names of an Arrow or pandas table as strings."""
    return [str(name) for name in (table.column_names if isinstance(table, pa.Table) else table.columns)]


def has_values(table: Table, column: str) -> bool:
    """Tell whether a table has a column that is not null throughout; blank text is not null."""
    if column not in column_names(table):
        return False
    values = table[column]
    return bool(values.notna().any()) if isinstance(values, pd.Series) else values.null_count < len(values)


def arrow_columns(table: Table) -> list[pa.ChunkedArray | pa.ArrowInvalid]:
    """Return the columns in Arrow form, each by itself, so that one bad column does not hide the others.

    A column of a `DataFrame` that Arrow cannot hold (mixed types) is returned as the exception that says so.
    """
    if isinstance(table, pa.Table):
        return list(table.columns)
    columns: list[pa.ChunkedArray | pa.ArrowInvalid] = []
    for position in range(table.shape[1]):
        try:
            array = pa.array(table.iloc[:, position], from_pandas=True)
            # pandas keeps text in chunks, and Arrow gets it as such.
            columns.append(array if isinstance(array, pa.ChunkedArray) else pa.chunked_array([array]))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            columns.append(pa.ArrowInvalid(str(error)))
    return columns


def canonical(name: str, table: Table, problems: list[Problem]) -> pd.DataFrame:
    """Return one table in canonical form but unordered, or add to `problems` why it cannot be."""
    found = column_names(table)
    problems += _name_problems(name, found)
    converters = LOG_COLUMNS[name]
    further = OFFER_COLUMNS if name == "items" else {SESSION: to_text} if name == "events" else {}
    series: dict[str, pd.Series] = {}
    for column_name, column in zip(found, arrow_columns(table), strict=True):
        if name == "events" and unknown_event_columns([column_name]):
            known = hint_for_name(name, column_name, [c for c in converters if c not in found])
            logger.warning("events.%s is not a column of the contract and is left out.%s", column_name, known)
            continue
        try:
            if isinstance(column, pa.ArrowInvalid):
                raise ColumnError("has one type", f"mixed types ({column})", "store one type per column")
            series[column_name] = (converters.get(column_name) or further.get(column_name, to_feature))(column)
        except ColumnError as error:
            rule = f"`{name}.{column_name}` {error.rule}"
            problems.append(Problem(rule, error.found, error.remedy, error.count, error.examples))
    if SESSION in series and name == "events":
        sessions = series.pop(SESSION)
        if "user_id" in series:
            series["user_id"] = series["user_id"].fillna(SESSION_USER + sessions)
    rows = len(table)
    for column_name, converter in converters.items():
        if column_name not in series:
            series[column_name] = converter(pa.chunked_array([pa.nulls(rows)]))
    order = [*converters, *(c for c in series if c not in converters)]
    return pd.DataFrame({c: series[c] for c in order})


def _name_problems(name: str, found: list[str]) -> list[Problem]:
    """Return one problem per required column that is missing and per name that occurs twice."""
    listed = ", ".join(f"`{c}`" for c in found[:20]) or "none"
    problems = []
    for column in REQUIRED[name]:
        if column not in found:
            hint = hint_for_column(name, column, [c for c in found if c not in LOG_COLUMNS[name]])
            rule = f"`{name}` has the required column `{column}`"
            problems.append(Problem(rule, f"no such column; there are: {listed}", f"rename or add the column.{hint}"))
    for column in sorted({c for c in found if found.count(c) > 1}):
        rule = f"`{name}.{column}` occurs once"
        problems.append(Problem(rule, f"{found.count(column)} columns of this name", "rename one"))
    return problems


def users_of(events: pd.DataFrame) -> pd.DataFrame:
    """Return the users table that a log without one has: the ids, and nothing known about them."""
    ids = events["user_id"].dropna().drop_duplicates()
    return pd.DataFrame(
        {
            "user_id": ids.array,
            "country": pd.array([None] * len(ids), dtype=TEXT),
            "created_at": pd.Series(pd.NaT, index=range(len(ids)), dtype=TIMES),
        }
    )


def _ordered(frame: pd.DataFrame, by: list[str]) -> pd.DataFrame:
    """Return the rows in order of the columns `by` (null last); rows that tie keep their order."""
    keys = pa.table({name: pa.array(frame[name], from_pandas=True) for name in dict.fromkeys(by)})
    order = pc.sort_indices(keys, sort_keys=[(name, "ascending") for name in keys.column_names])
    return frame.take(order.to_numpy()).reset_index(drop=True)
