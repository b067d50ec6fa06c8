"""Rules for the columns that are no keys: a name that fits, and values that are what the column must hold."""

import re
from collections.abc import Callable, Mapping

import pyarrow.compute as pc

from unified_ranker.config import ColumnSource
from unified_ranker.config.yaml_files import LOWER_NAME
from unified_ranker.core.errors import listed
from unified_ranker.log.column_types import LIST_SEPARATOR, is_country
from unified_ranker.log.country_codes import meant_country
from unified_ranker.project.init.inspect_columns import percent
from unified_ranker.project.init.raw_columns import RawColumn
from unified_ranker.project.init.table_columns import Found, TableColumns
from unified_ranker.project.init.time_of_day import excel_day, with_time_of_day
from unified_ranker.reading.time_reading import Ambiguity, TimeReading

MANY_TYPES = 50
"""Distinct values from which a column is no event type and no surface."""
MANY_COUNTRIES = 400
"""Distinct values up to which names of countries, in several spellings, are declared one by one."""
LEAST_SHARED = 0.5
"""Share of the distinct values that must be items, from which a column names items."""
CODES = 0.9
"""Share of the distinct values that must be codes or names of countries, from which a column holds countries."""
APART = 0.5
"""Difference of two names' fits from which one is clearly better."""


def _few(values: RawColumn) -> bool:
    return 0 < values.distinct <= MANY_TYPES


def _codes(values: RawColumn) -> bool:
    return (
        values.holds == "text"
        and sum(_country(v) is not None for v in values.texts.to_pylist()) >= CODES * values.distinct
    )


def _country(text: str) -> str | None:
    """Return the code of the country that a text means or has the form of; None for any other text."""
    return meant_country(text) or (text.upper() if is_country(text.upper()) else None)


def _counts_from_zero(values: RawColumn) -> bool:
    return values.holds == "whole numbers" and pc.min(values.values.cast("float64")).as_py() >= 0


SUITS: Mapping[str, Callable[[RawColumn], bool]] = {
    "event_type": lambda c: c.holds in ("text", "whole numbers", "flags") and _few(c),
    "task": lambda c: c.holds == "text" and _few(c),
    "query": lambda c: c.holds == "text" and c.distinct > 1,
    "country": _codes,
    "request_id": lambda c: c.identifies,
    "position": _counts_from_zero,
    "session_id": lambda c: c.identifies,
    "title": lambda c: c.holds == "text" and c.distinct > 1,
    "categories": lambda c: c.holds == "lists" or c.list_form is not None,
}
"""Values that a column of ours can hold."""

VALUES_SHOWN = frozenset({"event_type", "task", "country"})
"""Columns whose values are shown, where they are few."""


def best_suited(table: TableColumns, column: str) -> Found | None:
    """Choose the column with the best name among those with suitable values."""
    found = table.candidates(column, SUITS[column])
    if not found:
        return None
    best = found[0][1]
    seen = best.listed if column in VALUES_SHOWN and _few(best) else best.seen
    return ColumnSource(column=best.name), f"by its name; {seen}", ""


def best_identifier(table: TableColumns, column: str) -> Found:
    """Choose the identifier of a table that has no other to be joined with."""
    found = table.candidates(column, lambda c: c.may_identify)
    if not found:
        others = [c.name for c in table.free() if c.identifies and c.distinct < c.present]
        could = f"; by their values it could be {listed(others)}" if others else ""
        return None, "", f"no column is named like one{could}{_nested(table)}"
    (fit, best), *rest = found
    rivals = [c.name for other, c in rest if other > fit - APART]
    doubt = f"{listed([best.name, *rivals])} are named alike" if rivals else ""
    repeats = f", {best.present / best.distinct:.1f} rows each" if best.distinct else ""
    return ColumnSource(column=best.name), f"by its name; {best.seen}{repeats}", doubt


def _nested(table: TableColumns) -> str:
    """Return how columns of objects are taken apart, where a table has some."""
    nested = [c for c in table.free() if c.holds == "other" or (c.holds == "lists" and c.of_objects)]
    if not nested:
        return ""
    lists = [c.name for c in nested if c.holds == "lists"]
    taken = f"*, unnest({lists[0]}, recursive := true)" if lists else f"t.{nested[0].name}.FIELD AS user_id, …"
    query = f"`--events \"SELECT {taken} FROM 'FILE' t\"`"  # noqa: S608
    return f"; {listed(c.name for c in nested)}: objects, which a query takes apart: {query}"


def best_time(table: TableColumns, column: str) -> Found | None:
    """Choose the time: a fitting name whose values are times, or in the events the only column that holds times."""
    found = [c for _, c in table.candidates(column, lambda c: c.time is not None)]
    doubt = ""
    if not found and column == "timestamp":
        found = [c for c in table.free() if _is_a_time_by_its_values(c)]
        if len(found) != 1:
            what = f"{listed([c.name for c in found])} hold times" if found else "no column holds times"
            return None, "", f"{what} and none is named like one; for a log without times say `--order row`"
        if found[0].holds == "whole numbers":
            doubt = f"nothing but its numbers says that `{found[0].name}` holds times"
    if not found:
        return None
    best = found[0]
    source, reading = with_time_of_day(best, table.free())
    if isinstance(reading, Ambiguity):
        taken = f"column: {best.name}" if source.column else f"columns: [{', '.join(source.columns)}]"
        forms = " or ".join(f"`--map '{column}={{{taken}, {r.option}}}'`" for r in reading.readings)
        return source, best.seen, f"`{reading.example}` can be read in two ways: {forms}"
    if reading is not None and reading.unit == "days" and (serial := excel_day(best)) is not None:
        why = (
            f"days since 1900, as spreadsheets count them, such as {serial:%Y-%m-%d}: since 1970 they lie in the future"
        )
        return source.model_copy(update={"unit": "excel"}), f"{why}; {best.seen}", doubt
    # Numbers without a unit are seconds.
    unit = reading.unit if reading is not None and reading.unit != "s" else None
    return source.model_copy(update={"unit": unit}), f"{reading or 'no times'}; {best.seen}", doubt


def _is_a_time_by_its_values(values: RawColumn) -> bool:
    """Tell whether a column without a fitting name holds times: text or times, or numbers in a unit of a clock."""
    reading = values.time
    if values.holds in ("text", "times") or not isinstance(reading, TimeReading):
        return reading is not None
    return reading.unit in ("s", "ms", "us", "ns")


def best_task(table: TableColumns, column: str) -> Found | None:
    """Choose the surface; values that cannot be names of files are declared as such."""
    return _with_values(table, best_suited(table, column), _file_name)


def _file_name(value: str) -> str:
    """Return a value as a name of lower case letters, digits and _, if it can be one, else as it is."""
    name = re.sub(r"[^a-z0-9]+", "_", value.lower()).strip("_")
    return name if LOWER_NAME.fullmatch(name) else value


def best_country(table: TableColumns, column: str) -> Found | None:
    """Choose the country; names, and codes of three letters or in lower case, are declared as what they mean."""
    return _with_values(table, best_suited(table, column), lambda v: _country(v) or v, MANY_COUNTRIES)


def _with_values(
    table: TableColumns, found: Found | None, ours: Callable[[str], str], most: int = MANY_TYPES
) -> Found | None:
    """Add the values of ours to a choice, where they differ from theirs and are at most so many."""
    if found is None or found[0] is None:
        return found
    texts = table.columns[str(found[0].column)].texts.to_pylist()
    values = {v: ours(v) for v in texts if len(texts) <= most and ours(v) != v}
    return ColumnSource(column=found[0].column, values=values), *found[1:]


def best_session(table: TableColumns, column: str) -> Found | None:
    """Choose the session, which is needed only where some events have no user."""
    user = table.choices.get("user_id")
    known = None if user is None else table.columns.get(user.taken or "")
    needed = known is None or known.present < known.rows or column in table.columns
    return best_suited(table, column) if needed else None


def best_source(table: TableColumns, column: str, items: RawColumn) -> Found | None:
    """Choose the item that the user looked at: a fitting name, and values that are items."""
    found = table.candidates(column, lambda c: c.identifies and c.share_in(items) >= LEAST_SHARED)
    if not found:
        return None
    best = found[0][1]
    return ColumnSource(column=best.name), f"{percent(best.share_in(items))} of its values are items; {best.seen}", ""


def best_categories(table: TableColumns, column: str) -> Found | None:
    """Choose the categories: lists, or text with a sign between elements that repeat."""
    found = best_suited(table, column)
    if found is None or found[0] is None:
        return found
    values = table.columns[str(found[0].column)]
    form = values.list_form
    if form is None:
        return ColumnSource(column=values.name), f"lists; {values.present:,} rows have one", ""
    # Bars are read as separators without being declared.
    separator = None if form.separator == LIST_SEPARATOR else form.separator
    source = ColumnSource(column=values.name, separator=separator, levels=form.levels)
    return source, f"lists: {form}; {values.seen}", ""
