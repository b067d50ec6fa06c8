"""Checks of what a whole log has in common: who dominates it, spellings of one name, creation times that are events.

They take counts and times by id, so that the stages of `prepare` can give those of a log of any size.
"""

import json
from collections.abc import Mapping

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import blanks_shown
from unified_ranker.core.times import usual_span, utc_text
from unified_ranker.log.check import Check
from unified_ranker.log.column_types import MAX_EXAMPLES
from unified_ranker.log.row_rules import Harm, in_spelling, without_column

DOMINANT = 0.05
"""Share of all events from which one user or item dominates a log; at most 3.9 % on the seven logs of the tests."""
TIMES_MEAN = 10.0
"""Least multiple of the mean events of a user or an item that a dominant one has."""
TIMES_SECOND = 3.0
"""Least multiple of the events of the next one that a dominant user or item has. What is merely liked most has at most
2.5 times as many on the seven logs of the tests, and a large part of the events in a small catalogue."""
SPLIT_BY_CASE = 0.001
"""Least share of the events of users and items that differ from others in case alone. Random ids in both cases differ
so by chance, in a smaller share."""
MOST_ITEMS = 0.5
ENOUGH_ITEMS = 30
"""Items with a creation time and an event from which their equality is no chance."""
CREATED_BEFORE = "items.created_at is not the time of their first event"


def several(items: int, counts: Mapping[str, "pd.Series[int]"]) -> list[Check]:
    """Check that a log is of several items and of several users: of one there is nothing to choose or to compare.

    Args:
        items: number of items of the catalogue.
        counts: numbers of events by id, for `item_id` and `user_id`; anonymous events have no user.
    """
    checks = [
        Check(
            "the catalogue has several items",
            items != 1,
            found="it has one, so every answer is the same",
            what_to_do="see which column names the items: `data.columns.events.item_id: COLUMN`",
        )
    ]
    for column, what in (("item_id", "items"), ("user_id", "users")):
        only = counts[column].index[0] if len(counts[column]) == 1 else ""
        checks.append(
            Check(
                f"events are of several {what}",
                len(counts[column]) != 1,
                found=f"all are of `{only}`, so there is nothing to learn from their differences",
                what_to_do=f"see which column names the {what}: `data.columns.events.{column}: COLUMN`",
                severity="warning",
                harm=Harm.MISREAD,
            )
        )
    return checks


def dominance(column: str, counts: "pd.Series[int]", total: int) -> Check:
    """Check that no user or item has a large part of the `total` events, by the numbers of events of each id."""
    name, most = (str(counts.idxmax()), int(counts.max())) if len(counts) else ("", 0)
    least = 0.0
    if len(counts) > 1:
        least = max(DOMINANT * total, TIMES_MEAN * counts.mean(), TIMES_SECOND * counts.nlargest(2).iloc[1])
    dominant = len(counts) > 1 and most >= least
    remedies = {
        "user_id": "a bot, a test account or a placeholder becomes anonymous by " + _mapped("user_id", {name: "null"}),
        "item_id": "where it is no item, such as a home page, quarantine its events by "
        + _mapped("item_id", {name: "null"})
        + f" and `data.max_bad_share: {min(np.ceil(100 * most / max(total, 1) + 1) / 100, 0.99):g}`",
    }
    return Check(
        f"no {column.removesuffix('_id')} has {DOMINANT:.0%} of the events".replace("%", " %"),
        not dominant,
        most,
        (f"{column} {name}",),
        remedies[column],
        "warning",
        total=total,
        harm=Harm.MISREAD,
    )


def spelling(column: str, counts: "pd.Series[int]") -> Check:
    """Check that no two values of a column differ in case and blanks alone, by the numbers of events of each value.

    The count is that of events which would get another value: the less frequent spellings.
    """
    values = pd.DataFrame({"value": counts.index.astype(str), "events": counts.to_numpy()})
    values = values.sort_values(["events", "value"], ascending=[False, True], ignore_index=True)
    bare = values["value"].str.strip()
    values["key"] = bare.str.casefold()
    first = values.groupby("key")["value"].transform("first")
    other = values["value"] != first
    blanks = other & ((bare != values["value"]) | (first != first.str.strip()))
    total, split = int(values["events"].sum()), int(values.loc[other, "events"].sum())
    named = column in ("task", "event_type")
    enough = named or bool(blanks.any()) or split >= SPLIT_BY_CASE * total
    pairs = list(zip(values["value"][other], first[other], strict=True))[:MAX_EXAMPLES]
    merged = _mapped(column, dict(pairs)) if named else in_spelling("events", column, "lower")
    return Check(
        f"events.{column} has one spelling for each value",
        not (enough and split),
        split,
        tuple(f"{blanks_shown(value)}` for `{blanks_shown(main)}" for value, main in pairs),
        f"they are read as different; where they are one, {merged} in project.yaml",
        "warning",
        total=total,
        harm=Harm.MISREAD,
    )


def _mapped(column: str, values: Mapping[str, str]) -> str:
    """Return the line of project.yaml that gives values of a column of events other names."""
    return f"`data.columns.events.{column}: {{column: {column}, values: {json.dumps(values, ensure_ascii=False)}}}`"


def usual_times(times: Ints) -> Check:
    """Check that no time of an event, in seconds `[events]`, is an outlier."""
    first, last = usual_span(times)
    bounds = {"earliest": first} if (times < first).any() else {}
    bounds |= {"latest": last} if (times > last).any() else {}
    outside = times[(times < first) | (times > last)]
    return Check(
        "events.timestamp has no outliers",
        not len(outside),
        examples=tuple(utc_text(int(time)) for time in outside[:MAX_EXAMPLES]),
        found=f"the others lie between {utc_text(first)} and {utc_text(last)}" if len(outside) else "",
        what_to_do="windows and spans of time leave them out; where they are mistakes, leave out the events, too: "
        + " and ".join(f"`data.{side}: '{utc_text(bound)}'`" for side, bound in bounds.items()),
        severity="warning",
        harm=Harm.MISREAD,
    )


def created_before(created: "pd.Series[pd.Timestamp]", first: "pd.Series[pd.Timestamp]") -> Check:
    """Check that creation times are not the times of first events for most items.

    Args:
        created: creation times of items, `[items]`.
        first: times of their first events, with the same index; NaT where an item has none.
    """
    both = created.notna() & first.notna()
    same = int((created[both].dt.floor("s") == first[both].dt.floor("s")).sum())
    return Check(
        CREATED_BEFORE,
        int(both.sum()) < ENOUGH_ITEMS or same < MOST_ITEMS * int(both.sum()),
        found=f"it is for {same:,} of {int(both.sum()):,} items with both",
        what_to_do="nothing: these events count as the publication of their item, and are neither learnt nor measured; "
        "give true creation times where you have them, or none: " + without_column("items", "created_at"),
        severity="warning",
        harm=Harm.LEAK,
    )
