"""Rules for the rows of the events table, over Arrow columns: each finds the rows that break it.

`log.content_checks` turns the rules into lines of output; the stages of `prepare` quarantine the rows that break them.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum
from functools import cached_property
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import Ints, Mask
from unified_ranker.core.times import FUTURE_FROM
from unified_ranker.log.column_types import COUNTRY_CODE, as_mask, one_array
from unified_ranker.log.country_codes import meant_country
from unified_ranker.log.schema import REQUIRED, SESSION_USER

Severity = Literal["error", "warning"]
"""An "error" stops the job, a "warning" does not."""


class Harm(IntEnum):
    """Harm of a finding that nobody mends, the worst first."""

    LEAK = 0
    """The model learns from, or is measured by, what no request could know."""
    LOST = 1
    """Events are neither learnt nor measured."""
    MISREAD = 2
    """Values are read as what they are not."""
    IDLE = 3
    """A declaration has no effect."""
    SLIGHT = 4
    """A column is not used, or a title is missing."""


EVENT_KEYS = REQUIRED["events"]
"""Columns that identify an event in a message."""
ITEM_COLUMNS = ("item_id", "source_item_id", "query_item_id")
FAR_FUTURE = timedelta(seconds=FUTURE_FROM)
FUTURE = "events.timestamp is not in the future"
LEFT_OUT = frozenset({FUTURE})
"""Warnings whose rows are quarantined, too: there can be no example as of a time in the future."""
TIME_REMEDY = (
    "correct the times; a wrong unit or a filler date is the usual cause: "
    "`data.columns.events.timestamp: {column: timestamp, unit: ms}`"
)
COUNTRY_RULE = "events.country is an alpha-2 code"
MOST_COUNTRIES = 20
"""Spellings of countries that a remedy names."""


@dataclass(frozen=True)
class Known:
    """Items and users that events may refer to: ids, and creation times in microseconds (null = undated)."""

    items: pa.Array
    created: pa.Array
    users: pa.Array | None

    @cached_property
    def first_of_item(self) -> Ints:
        """Creation times, `[items + 1]`; the least int64 where absent and for unknown items, the last row."""
        created = pc.fill_null(self.created.cast(pa.int64()), np.iinfo(np.int64).min)
        return np.append(created.to_numpy(zero_copy_only=False), np.iinfo(np.int64).min)

    @cached_property
    def _bare_ids(self) -> pa.Array:
        return _bare(self.items)

    def spelt_otherwise(self, ids: pa.ChunkedArray) -> Literal["trimmed", "lower"] | None:
        """Return the spelling by which unknown ids include an item's: but for blanks around it, or for case, too."""
        if not pc.any(pc.is_in(_bare(ids.cast(self.items.type)), value_set=self._bare_ids)).as_py():
            return None
        trimmed, items = (pc.utf8_trim_whitespace(text) for text in (ids.cast(self.items.type), self.items))
        return "trimmed" if pc.any(pc.is_in(trimmed, value_set=items)).as_py() else "lower"

    def indices(self, events: pa.Table) -> dict[str, Ints]:
        """Return the rows of the items that events name, by column `[events]`; -1 where null or unknown."""
        return dict(zip(ITEM_COLUMNS, find_all([events[name] for name in ITEM_COLUMNS], self.items), strict=True))


@dataclass(frozen=True)
class Broken:
    """Rows that break a rule, and the columns that a message shows of them."""

    rule: str
    bad: Mask
    columns: tuple[str, ...]
    what_to_do: str
    severity: Severity = "error"
    harm: Harm = Harm.LOST

    @property
    def quarantined(self) -> bool:
        """Tells whether `prepare` quarantines the rows."""
        return self.severity == "error" or self.rule in LEFT_OUT


def find_all(columns: Sequence[pa.Array | pa.ChunkedArray], ids: pa.Array | pa.ChunkedArray) -> list[Ints]:
    """Return where the values of columns are in the distinct `ids`, -1 where null or unknown.

    Each distinct value is looked up once, for all columns together, because hashing the ids of a large catalogue takes
    longer than looking up a split in it.
    """
    coded = [one_array(column).cast(pa.large_string()).dictionary_encode() for column in columns]
    names = pa.concat_arrays([c.dictionary for c in coded])
    index = pc.fill_null(pc.index_in(names, value_set=one_array(ids).cast(pa.large_string())), -1)
    index = index.to_numpy(zero_copy_only=False).astype(np.int64)
    out, first = [], 0
    for column in coded:
        own = np.append(index[first : first + len(column.dictionary)], -1)
        first += len(column.dictionary)
        out.append(own[pc.fill_null(column.indices, -1).to_numpy(zero_copy_only=False)])
    return out


def positions(wanted: pa.Array | pa.ChunkedArray, ids: pa.Array | pa.ChunkedArray) -> Ints:
    """Return where `wanted` `[n]` are in the distinct `ids`, -1 where null or unknown."""
    return find_all([wanted], ids)[0]


def event_rules(
    events: pa.Table, known: Known, now: datetime, indices: dict[str, Ints] | None = None
) -> Iterator[Broken]:
    """Yield every rule with the rows that break it.

    Args:
        events: in canonical form (`schema.InteractionLog`), `[events, columns]`.
        known: the other two tables.
        now: the present.
        indices: `known.indices(events)`, if they are computed already.
    """
    indices = indices or known.indices(events)
    for column in ("item_id", "task", "event_type"):
        bad = as_mask(pc.is_null(events[column]))
        yield Broken(f"events.{column} is present", bad, EVENT_KEYS, f"fill in `{column}`, or remove the rows")
    time = one_array(events["timestamp"])
    absent = as_mask(pc.is_null(time))
    remedy = "fill in the time, or remove the rows: every example is made as of its time"
    yield Broken("events.timestamp is present", absent, EVENT_KEYS, remedy)
    items = indices["item_id"]
    for column in ITEM_COLUMNS:
        bad = (indices[column] < 0) & as_mask(pc.is_valid(events[column]))
        shown = tuple(dict.fromkeys(("user_id", "item_id", column, "task", "timestamp")))
        remedy = "add the items to the items table, or remove the events"
        if bad.any() and (spelling := known.spelt_otherwise(events[column].filter(pa.array(bad)))) is not None:
            remedy = (
                "some differ from a known id in blanks or case alone: spell the ids alike in both tables by "
                f"{in_spelling('events', column, spelling)} and {in_spelling('items', 'item_id', spelling)}"
            )
        yield Broken(f"events.{column} is known in items", bad, shown, remedy)
    if known.users is not None:
        named = pc.invert(pc.starts_with(events["user_id"], SESSION_USER))
        bad = (positions(events["user_id"], known.users) < 0) & as_mask(pc.fill_null(named, False))
        remedy = "such users have no profile; compare the spelling of ids in both tables, or leave out `data.users`"
        yield Broken("events.user_id is known in users", bad, EVENT_KEYS, remedy, "warning", Harm.IDLE)
    stamp = pc.fill_null(time.cast(pa.int64()), 0).to_numpy(zero_copy_only=False)
    latest = int((now + FAR_FUTURE).timestamp() * 1e6)
    yield Broken("events.timestamp is not before 1970", (stamp < 0) & ~absent, EVENT_KEYS, TIME_REMEDY)
    yield Broken(FUTURE, (stamp > latest) & ~absent, EVENT_KEYS, TIME_REMEDY, "warning")
    early = (stamp < known.first_of_item[items]) & ~absent
    remedy = (
        "an item is a candidate after `created_at`, so these are neither learnt nor measured; correct or leave it out: "
        f"{without_column('items', 'created_at')}"
    )
    shown = ("item_id", "created_at", "timestamp", "task", "event_type")
    yield Broken("events happen after their item's created_at", early, shown, remedy, "warning")
    country = one_array(events["country"]).cast(pa.large_string()).dictionary_encode()
    odd = pc.invert(pc.match_substring_regex(country.dictionary, f"^{COUNTRY_CODE}$"))
    odd = np.append(odd.to_numpy(zero_copy_only=False), False).astype(bool)
    bad = odd[pc.fill_null(country.indices, -1).to_numpy(zero_copy_only=False)]
    remedy = country_remedy("events", country.dictionary.filter(pa.array(odd[:-1])).to_pylist())
    yield Broken(COUNTRY_RULE, bad, ("user_id", "country"), remedy, "warning", Harm.MISREAD)


def country_remedy(table: str, names: Sequence[str]) -> str:
    """Return what to do about distinct `names` that are no codes of countries; the line of project.yaml maps them."""
    codes = {name: meant_country(name) or "null" for name in names[:MOST_COUNTRIES]}
    mapped = json.dumps(codes, ensure_ascii=False)
    return (
        "write ISO 3166 alpha-2 codes, null where it is unknown: "
        f"`data.columns.{table}.country: {{column: country, values: {mapped}}}`"
    )


def in_spelling(table: str, column: str, spelling: str) -> str:
    """Return the line of project.yaml that reads a column in another spelling."""
    return f"`data.columns.{table}.{column}: {{column: {column}, spelling: {spelling}}}`"


def without_column(table: str, column: str) -> str:
    """Return the line of project.yaml that leaves a column out."""
    return f"`data.columns.{table}.{column}: {{value: 'null'}}`"


def _bare(text: pa.Array | pa.ChunkedArray) -> pa.Array | pa.ChunkedArray:
    """Return text in lower case, without blanks around it."""
    return pc.utf8_lower(pc.utf8_trim_whitespace(text))
