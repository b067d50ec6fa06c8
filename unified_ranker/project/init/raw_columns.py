"""Raw columns: what a column of a table from elsewhere holds, by its values alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.check import MAX_LISTED
from unified_ranker.log.column_types import NUMBER, decoded, is_list, is_text
from unified_ranker.reading.list_values import ListForm, list_form_of
from unified_ranker.reading.time_reading import Ambiguity, TimeReading, recognise_times

Holds = Literal["text", "whole numbers", "numbers", "flags", "times", "lists", "other"]

_STRUCTURES: dict[str, Holds] = {r"^\[.*\]$": "lists", r"^[\[{(].*[\]})]$": "other"}
"""Forms of lists and structures in text, as Python and JSON write them."""
LOOKED_AT = 100_000
"""Rows of a table that are looked at, evenly chosen."""
UNIQUE = 0.99
"""Share of distinct values from which a column is a key: a few rows may be there twice."""
WORDS_OF_ID = 1.5
"""Mean words up to which text may be an identifier."""
MANY_TEXTS = 20_000
"""Distinct values in which the form of lists is looked for."""


@dataclass(frozen=True, eq=False)
class RawColumn:
    """Column of a table as it lies.

    Attributes:
        name: its name.
        rows: rows of the table, or of those that were looked at.
        values: the values that are there `[present]`, without words that mean absent.
        holds: what they are. Text in which every value is a number counts as numbers; codes such as `007` are text.
    """

    name: str
    rows: int
    values: pa.ChunkedArray
    holds: Holds

    @cached_property
    def time(self) -> TimeReading | Ambiguity | None:
        """Reading of the values as times; None where they are none."""
        return recognise_times(self.values) if self.holds in ("text", "times", "whole numbers", "numbers") else None

    @property
    def present(self) -> int:
        """Rows with a value."""
        return len(self.values)

    @cached_property
    def texts(self) -> pa.Array:
        """Distinct values as text; whole numbers without a fraction, since keys are compared by them."""
        values = self.values
        if self.holds == "whole numbers" and is_text(values.type):
            # What pandas makes of whole numbers beside nulls.
            values = pc.replace_substring_regex(values, r"\.0*$", "")
        elif self.holds == "whole numbers" and pt.is_floating(values.type):
            values = values.cast(pa.int64())
        elif self.holds in ("lists", "other"):
            return pa.array([], pa.large_string())
        return values.cast(pa.large_string()).unique()

    @property
    def distinct(self) -> int:
        """Distinct values; 0 for lists and structures."""
        return len(self.texts)

    @property
    def unique(self) -> bool:
        """Tells whether the values are as good as all distinct, as those of a key."""
        return self.present > 0 and self.distinct >= UNIQUE * self.present

    @cached_property
    def identifies(self) -> bool:
        """Tells whether the values may be identifiers: short text or whole numbers, no times."""
        if self.holds == "text":
            return self.present > 0 and self.words <= WORDS_OF_ID
        return self.present > 0 and self.holds == "whole numbers"

    @property
    def may_identify(self) -> bool:
        """Tells whether the values may be identifiers if the name says so: also text such as `1026454.4271`."""
        return self.identifies or (self.holds == "numbers" and is_text(self.values.type))

    @cached_property
    def words(self) -> float:
        """Mean number of words of the distinct values."""
        count = pc.mean(pc.count_substring_regex(pc.utf8_trim_whitespace(self.texts), r"\s+")).as_py()
        return 1.0 + float(count or 0.0)

    @cached_property
    def list_form(self) -> ListForm | None:
        """Form of lists that are stored as text with signs between; None where the values are no lists."""
        if self.holds != "text" or not self.present:
            return None
        form = list_form_of(self.texts.slice(0, MANY_TEXTS).to_pylist(), possible=True)
        return form if form.separator or form.levels else None

    @cached_property
    def of_objects(self) -> bool:
        """Tells whether lists have objects as their elements."""
        if is_text(self.values.type):
            return bool(pc.any(pc.match_substring_regex(self.values, r"^\[\s*\{")).as_py())
        return is_list(self.values.type) and pt.is_struct(self.values.type.value_type)

    @property
    def seen(self) -> str:
        """Counts of the column in a few words."""
        if self.present == 0:
            return "no row has a value"
        gaps = "" if self.present == self.rows else f", {self.rows - self.present:,} rows without"
        part = " that were looked at" if self.rows >= LOOKED_AT else ""
        return f"{self.distinct:,} distinct in {self.present:,} rows{part}{gaps}"

    @property
    def listed(self) -> str:
        """The most frequent values with their counts, for a column of few."""
        counts = sorted(pc.value_counts(self.values).to_pylist(), key=lambda entry: -entry["counts"])
        some = ", ".join(f"`{entry['values']}` ({entry['counts']:,})" for entry in counts[:MAX_LISTED])
        return some if len(counts) <= MAX_LISTED else f"{some} and {len(counts) - MAX_LISTED} more"

    def share_in(self, key: "RawColumn") -> float:
        """Return the share of the distinct values that are values of another column."""
        if not self.distinct or not key.distinct:
            return 0.0
        return float(pc.mean(pc.is_in(self.texts, value_set=key.texts).cast(pa.int8())).as_py())


def raw_columns(table: pa.Table) -> Mapping[str, RawColumn]:
    """Return the columns of a table by their names."""
    return {name: _raw_column(name, table[name]) for name in table.column_names}


def _raw_column(name: str, column: pa.ChunkedArray) -> RawColumn:
    column = decoded(column)
    kind, rows = column.type, len(column)
    values = column.drop_null()
    if is_text(kind):
        values = pc.utf8_trim_whitespace(without_absent(column).drop_null())
        return RawColumn(name, rows, values, _text_holds(values))
    if pt.is_decimal(kind) and kind.scale == 0:
        return RawColumn(name, rows, values.cast(pa.large_string()), "whole numbers")
    if pt.is_floating(kind) or pt.is_decimal(kind):
        values = values.cast(pa.float64())
        values = values.filter(pc.is_finite(values))
        whole = bool(pc.all(pc.equal(pc.floor(values), values), min_count=0).as_py())
        return RawColumn(name, rows, values, "whole numbers" if whole else "numbers")
    if pt.is_timestamp(kind) or pt.is_date(kind):
        return RawColumn(name, rows, values, "times")
    simple: dict[bool, Holds] = {pt.is_integer(kind): "whole numbers", pt.is_boolean(kind): "flags"}
    return RawColumn(name, rows, values, simple.get(True, "lists" if is_list(kind) else "other"))


def _text_holds(values: pa.ChunkedArray) -> Holds:
    if not len(values):
        return "text"
    for form, holds in _STRUCTURES.items():
        if pc.all(pc.match_substring_regex(values, form)).as_py():
            return holds
    if not pc.all(pc.match_substring_regex(values, NUMBER)).as_py():
        return "text"
    if pc.any(pc.match_substring_regex(values, r"^[+-]?0\d")).as_py():
        return "text"
    return "whole numbers" if pc.all(pc.match_substring_regex(values, r"^[+-]?\d+(\.0*)?$")).as_py() else "numbers"
