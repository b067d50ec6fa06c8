"""The rules that the content of an interaction log keeps, one function per kind."""

from collections.abc import Sequence
from datetime import datetime, timedelta

import pandas as pd

from unified_ranker.data.check import Check, rows_check
from unified_ranker.errors import nearest
from unified_ranker.schema import InteractionLog

EVENT_KEYS = ("user_id", "item_id", "task", "event_type", "timestamp")
FAR_FUTURE = timedelta(days=1)
MAX_EMPTY_TITLES = 0.5


def content_checks(log: InteractionLog, tasks: Sequence[str], now: datetime, title_given: bool) -> list[Check]:
    """Return every check of a log's content, in a fixed order."""
    return [
        *_presence(log),
        *_references(log),
        *_times(log, now),
        _task_events(log.events, tasks),
        *_oddities(log, title_given),
    ]


def _presence(log: InteractionLog) -> list[Check]:
    """Tables have rows, and rows have the fields without which they mean nothing."""
    events, items, users = log.events, log.items, log.users
    checks = [
        Check(
            f"{name} is not empty",
            passed=len(frame) > 0,
            what_to_do=f"give a table with at least one of the {name}",
            found="0 rows",
        )
        for name, frame in (("items", items), ("events", events))
    ]
    for column in ("item_id", "task", "event_type"):
        bad = events[column].isna() | (events[column].str.strip() == "")
        checks.append(
            rows_check(
                f"events.{column} is present",
                events,
                bad,
                EVENT_KEYS,
                f"fill in `{column}`, or remove the rows",
            )
        )
    checks += [
        rows_check(
            "events.user_id is null or not blank",
            events,
            events["user_id"].str.strip() == "",
            EVENT_KEYS,
            "write null for an anonymous user",
        ),
        rows_check(
            "events.timestamp is present",
            events,
            events["timestamp"].isna(),
            EVENT_KEYS,
            "fill in the time, or remove the rows: every example is made as of its time",
        ),
    ]
    for name, frame, key in (("items", items, "item_id"), ("users", users, "user_id")):
        blank = frame[key].isna() | (frame[key].str.strip() == "")
        shown = list(frame.columns[:4])
        checks += [
            rows_check(f"{name}.{key} is present", frame, blank, shown, f"give every row its `{key}`"),
            rows_check(
                f"{name}.{key} is unique",
                frame,
                frame[key].duplicated(keep=False) & ~blank,
                shown,
                f"keep one row per `{key}`",
            ),
        ]
    return checks


def _references(log: InteractionLog) -> list[Check]:
    """Identifiers in events name rows of the other tables."""
    events = log.events
    checks = []
    for column in ("item_id", "source_item_id", "query_item_id"):
        bad = events[column].notna() & (events[column] != "") & ~events[column].isin(log.items["item_id"])
        checks.append(
            rows_check(
                f"events.{column} is known in items",
                events,
                bad,
                ("user_id", "item_id", column, "task", "timestamp"),
                "add the items to the items table, or remove the events; are the ids spelt alike in both?",
            )
        )
    bad = events["user_id"].notna() & ~events["user_id"].isin(log.users["user_id"])
    remedy = "such users have no profile; if they should, compare the spelling of ids in both tables"
    checks.append(rows_check("events.user_id is known in users", events, bad, EVENT_KEYS, remedy, "warning"))
    return checks


def _times(log: InteractionLog, now: datetime) -> list[Check]:
    """Times lie in 1970 or later and not in the future, and items exist before their events."""
    checks = []
    latest, epoch = pd.Timestamp(now) + FAR_FUTURE, pd.Timestamp(0, tz="UTC")
    for name, frame, column, shown in (
        ("events", log.events, "timestamp", EVENT_KEYS),
        ("items", log.items, "created_at", ("item_id", "title", "created_at")),
        ("users", log.users, "created_at", ("user_id", "created_at")),
    ):
        early, late = frame[column] < epoch, frame[column] > latest
        remedy = "correct the times; a wrong unit (days, minutes) or a filler date is the usual cause"
        checks += [
            rows_check(f"{name}.{column} is not before 1970", frame, early, shown, remedy),
            rows_check(f"{name}.{column} is not in the future", frame, late, shown, remedy, "warning"),
        ]
    created = log.items.dropna(subset=["item_id"]).drop_duplicates("item_id").set_index("item_id")["created_at"]
    # Not `Series.map`, which tries to make an empty table of times into numbers.
    events = log.events.assign(created_at=created.reindex(log.events["item_id"]).array)
    remedy = "an item is a candidate from `created_at` on, so these cannot be learnt or measured; correct it"
    bad = events["timestamp"] < events["created_at"]
    shown = ("item_id", "created_at", "timestamp", "task", "event_type")
    checks.append(rows_check("events happen after their item's created_at", events, bad, shown, remedy, "warning"))
    return checks


def _task_events(events: pd.DataFrame, tasks: Sequence[str]) -> Check:
    """Every declared task has events."""
    found = events["task"].value_counts()
    empty = [task for task in tasks if task not in found.index]
    listed = ", ".join(f"`{task}` ({count:,})" for task, count in found.head(10).items()) or "none"
    hints = "".join(nearest(task, [str(t) for t in found.index]) for task in empty)
    return Check(
        "every declared task has events",
        passed=not empty,
        what_to_do=f"remove the task's file, or give it events; tasks in the data: {listed}.{hints}",
        found="no events for " + ", ".join(f"`{task}`" for task in empty),
    )


def _oddities(log: InteractionLog, title_given: bool) -> list[Check]:
    """Whatever works but is likely to be a mistake."""
    events, items = log.events, log.items
    checks = []
    for name, frame, key in (("events", events, "user_id"), ("users", log.users, "user_id")):
        bad = frame["country"].notna() & ~frame["country"].str.fullmatch("[A-Z]{2}", na=False)
        remedy = "write ISO 3166 alpha-2 codes (`GB`), null where it is unknown"
        checks.append(rows_check(f"{name}.country is an alpha-2 code", frame, bad, (key, "country"), remedy, "warning"))
    # Events are ordered by all of their columns, so identical rows are neighbours. The first row has none
    # before it: `derived` is never null, and the null that `shift` puts there differs from it.
    same = pd.Series(True, index=events.index)
    for column in events.columns:
        values = events[column]
        same &= (values == values.shift()).fillna(False).astype(bool) | (values.isna() & values.shift().isna())
    remedy = "expected when one act is logged once per unit; otherwise remove the repetitions"
    checks.append(rows_check("events are distinct", events, same, EVENT_KEYS, remedy, "warning"))
    untitled = items["title"].isna()
    titles = rows_check(
        "most items have a title",
        items,
        untitled,
        ("item_id", "title"),
        "text carries new items and search; fill in titles, or leave the column out",
        "warning",
    )
    if not title_given or untitled.mean() <= MAX_EMPTY_TITLES or items.empty:
        titles = Check(titles.name, passed=True, severity="warning")
    return [*checks, titles]
