"""Checks of the content of an interaction log, one function per kind."""

from dataclasses import replace
from datetime import datetime

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from unified_ranker.core.arrays import Mask
from unified_ranker.core.ids import MOST_ID_BYTES
from unified_ranker.core.times import seconds
from unified_ranker.log.check import Check, rows_check
from unified_ranker.log.column_types import COUNTRY_CODE
from unified_ranker.log.pattern_checks import created_before, dominance, several, spelling, usual_times
from unified_ranker.log.row_rules import (
    COUNTRY_RULE,
    EVENT_KEYS,
    FAR_FUTURE,
    TIME_REMEDY,
    Harm,
    Known,
    country_remedy,
    event_rules,
    without_column,
)
from unified_ranker.log.schema import InteractionLog

_LENGTH = f"{{}} has at most {MOST_ID_BYTES} bytes"
_SHORTER = "shorten them, as by a digest: the service and the store of vectors take no longer ids"
MAX_EMPTY_TITLES = 0.5
DISTINCT = "events are distinct"
DISTINCT_REMEDY = (
    "equal events count once (`data.duplicates: drop`); declare `keep` where each of them is an act of its own"
)


def content_checks(log: InteractionLog, now: datetime, title_given: bool) -> list[Check]:
    """Return every check of a log's content, in a fixed order."""
    of_events, of_tables = event_checks(log, now), table_checks(log.items, log.users, now, title_given)
    country = of_events.pop(COUNTRY_RULE)
    presence = [c for name, c in of_events.items() if name.endswith(" is present")]
    return [
        not_empty("items", len(log.items)),
        not_empty("events", len(log.events)),
        *presence,
        *of_tables[:-2],
        *(c for c in of_events.values() if c not in presence),
        country,
        distinct(log.events),
        *of_tables[-2:],
        *_patterns(log),
    ]


def _patterns(log: InteractionLog) -> list[Check]:
    """Return the checks of `log.pattern_checks` for a log in memory."""
    events = log.events
    counts = {name: events[name].value_counts() for name in ("user_id", "item_id", "task", "event_type")}
    items = log.items.dropna(subset=["item_id"]).drop_duplicates("item_id").set_index("item_id")
    return [
        *several(len(items), counts),
        *(dominance(name, counts[name], len(events)) for name in ("user_id", "item_id")),
        *(spelling(name, counts[name]) for name in counts),
        usual_times(seconds(log.events["timestamp"].dropna())),
        created_before(items["created_at"], events.groupby("item_id")["timestamp"].min().reindex(items.index)),
    ]


def quarantined_events(log: InteractionLog, now: datetime) -> dict[str, Mask]:
    """Return the events that `prepare` quarantines `[events]`, by the rule that they break."""
    rules = event_rules(pa.Table.from_pandas(log.events, preserve_index=False), _known(log), now)
    return {broken.rule: broken.bad for broken in rules if broken.quarantined and broken.bad.any()}


def without_quarantined(log: InteractionLog, now: datetime) -> InteractionLog:
    """Return a log without the events that `prepare` quarantines: those without an item, of no time, and the like."""
    bad = quarantined_events(log, now)
    if not bad:
        return log
    keep = ~np.logical_or.reduce(list(bad.values()))
    return replace(log, events=log.events[keep].reset_index(drop=True))


def _known(log: InteractionLog) -> Known:
    """Return the items and users that events of a log may refer to."""
    ids = log.items.dropna(subset=["item_id"]).drop_duplicates("item_id")
    return Known(
        items=pa.array(ids["item_id"], pa.large_string()),
        created=pa.array(ids["created_at"], from_pandas=True),
        users=pa.array(log.users["user_id"].dropna().drop_duplicates(), pa.large_string()),
    )


def event_checks(log: InteractionLog, now: datetime) -> dict[str, Check]:
    """Return the checks of single events by name."""
    created = log.items.dropna(subset=["item_id"]).drop_duplicates("item_id").set_index("item_id")["created_at"]
    out = {}
    for broken in event_rules(pa.Table.from_pandas(log.events, preserve_index=False), _known(log), now):
        frame = log.events
        if "created_at" in broken.columns and broken.bad.any():
            # Not `Series.map`, which tries to make an empty table of times into numbers.
            frame = frame.assign(created_at=created.reindex(frame["item_id"]).array)
        shown = [c for c in broken.columns if c in frame.columns]
        bad = pd.Series(broken.bad)
        out[broken.rule] = rows_check(broken.rule, frame, bad, shown, broken.what_to_do, broken.severity, broken.harm)
    return out


def table_checks(items: pd.DataFrame, users: pd.DataFrame, now: datetime, title_given: bool) -> list[Check]:
    """Return the checks of items and users: keys and times, then countries and titles."""
    checks = []
    for name, frame, key in (("items", items, "item_id"), ("users", users, "user_id")):
        blank = frame[key].isna() | (frame[key].str.strip() == "")
        shown = list(frame.columns[:4])
        again = frame[key].duplicated(keep=False) & ~blank
        checks += [
            rows_check(f"{name}.{key} is present", frame, blank, shown, f"give every row its `{key}`"),
            rows_check(f"{name}.{key} is unique", frame, again, shown, f"keep one row per `{key}`"),
            rows_check(
                f"{name}.{key} has at most {MOST_ID_BYTES} bytes", frame, _long(frame[key]), [key], _SHORTER, "warning"
            ),
        ]
    latest, epoch = pd.Timestamp(now) + FAR_FUTURE, pd.Timestamp(0, tz="UTC")
    for name, frame, shown in (
        ("items", items, ["item_id", "title", "created_at"]),
        ("users", users, ["user_id", "created_at"]),
    ):
        early, late = frame["created_at"] < epoch, frame["created_at"] > latest
        checks += [
            rows_check(f"{name}.created_at is not before 1970", frame, early, shown, TIME_REMEDY),
            rows_check(f"{name}.created_at is not in the future", frame, late, shown, TIME_REMEDY, "warning"),
        ]
    bad = users["country"].notna() & ~users["country"].str.fullmatch(COUNTRY_CODE, na=False)
    shown = ["user_id", "country"]
    remedy = country_remedy("users", users["country"][bad].drop_duplicates().tolist())
    country = rows_check("users.country is an alpha-2 code", users, bad, shown, remedy, "warning", Harm.MISREAD)
    return [*checks, country, _titles(items, title_given)]


def _long(ids: pd.Series) -> pd.Series:
    """Mark the identifiers that are longer than a key of a store."""
    size = pc.binary_length(pa.array(ids, pa.large_string(), from_pandas=True))
    return pd.Series(pc.fill_null(pc.greater(size, MOST_ID_BYTES), False).to_numpy(zero_copy_only=False), ids.index)


def not_empty(name: str, rows: int) -> Check:
    """Check that a table has rows."""
    remedy = f"give a table with at least one of the {name}"
    return Check(f"{name} is not empty", passed=rows > 0, what_to_do=remedy, found="0 rows")


def distinct(events: pd.DataFrame) -> Check:
    """Check that no two events are equal in all columns."""
    # Events are ordered by all of their columns, so identical rows are neighbours. The first row has none
    # before it: `derived` is never null, and the null that `shift` puts there differs from it.
    same = pd.Series(True, index=events.index)
    for column in events.columns:
        values = events[column]
        same &= (values == values.shift()).fillna(False).astype(bool) | (values.isna() & values.shift().isna())
    return rows_check(DISTINCT, events, same, EVENT_KEYS, DISTINCT_REMEDY, "warning", Harm.MISREAD)


def _titles(items: pd.DataFrame, title_given: bool) -> Check:
    untitled = items["title"].isna()
    titles = rows_check(
        "most items have a title",
        items,
        untitled,
        ("item_id", "title"),
        "search and new items rely on titles; fill them in, or leave the column out: "
        + without_column("items", "title"),
        "warning",
        Harm.SLIGHT,
    )
    if not title_given or untitled.mean() <= MAX_EMPTY_TITLES or items.empty:
        return Check(titles.name, passed=True, severity="warning")
    return titles
