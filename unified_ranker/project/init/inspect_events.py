"""Inspection of the events of a log: its surfaces, the events that count as engagement, and the behaviour of users."""

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from unified_ranker.config.yaml_files import LOWER_NAME
from unified_ranker.core.errors import UserError
from unified_ranker.core.times import DAY
from unified_ranker.log.schema import InteractionLog

SurfaceKind = Literal["search", "more_like_this", "feed"]
EventRole = Literal["positive", "signal", "no engagement", "shown"]

RATING_TOPS = (5.0, 10.0)
LIKED_SHARE = 0.2
"""Share of values at four fifths of the top from which a 1 to 5 or 1 to 10 scale is a rating, not a count."""
VALUED_SHARE = 0.9
"""Share of events with a value from which the values are a scale of the event type."""
VISITS_APART = DAY
"""Least seconds after a user's first engagement with an item for another one to belong to a later visit.

Repeats within a day depend on what the log calls an event: a view, a like and a comment of one visit, or a discussion
of some hours (docs/records/offered-again.md).
"""
OFFERED_AGAIN = 0.25
"""Least `again_share` of a feed that offers users their earlier items again (docs/records/offered-again.md)."""
SHOWN_WORDS = frozenset({"impression", "impressions", "exposure", "exposures", "shown", "display", "displayed"})
"""Words in the name of an event type that say an item was only shown."""
REFUSED_WORDS = frozenset(
    {
        *("skip", "skipped", "hide", "hidden", "dismiss", "dismissed", "block", "report"),
        *("dislike", "downvote", "unlike", "unfollow", "unsubscribe", "refund", "return", "returned"),
    }
)
"""Words in the name of an event type that say an item was refused."""


@dataclass(frozen=True)
class EventKind:
    """One event type of one task: how many events and distinct users, its values, and its role."""

    event_type: str
    events: int
    users: int
    valued: bool
    rating_top: float | None
    role: EventRole

    @property
    def least(self) -> float | None:
        """The least value that counts as engagement: four fifths of a rating's top."""
        return None if self.rating_top is None else self.rating_top * 0.8


@dataclass(frozen=True)
class Surface:
    """One task of the log.

    Attributes:
        task: its name.
        kind: whether most of its requests have a query, a source item, or neither.
        events: its events.
        query_share: share of events with a query.
        source_share: share of events with a source item.
        repeat_share: share of users' positives with an item that they had engaged with on this task before.
        had_share: the same of items that they had engaged with before on any task.
        again_share: share of returning users' positives with an item that they had engaged with on an earlier visit.
        derived: whether every event was made by a rule.
        kinds: its event types, most frequent first.
        median_age: median age of items at its positives in days; None where no creation time is known.
    """

    task: str
    kind: SurfaceKind
    events: int
    query_share: float
    source_share: float
    repeat_share: float
    had_share: float
    again_share: float
    derived: bool
    kinds: tuple[EventKind, ...]
    median_age: float | None

    @property
    def offers_again(self) -> bool:
        """Tells whether earlier items of the user may be answers: on all surfaces but feeds with few repeats."""
        return self.kind != "feed" or self.again_share >= OFFERED_AGAIN

    def with_role(self, role: EventRole) -> tuple[EventKind, ...]:
        """Return the event types of one role."""
        return tuple(k for k in self.kinds if k.role == role)


@dataclass(frozen=True)
class EventFindings:
    """Findings about the events of a log.

    Attributes:
        surfaces: the tasks to declare, by name.
        signals: event types that only show an item's quality, with their counts.
        left_out: tasks that have only such events.
        read: event types that histories consist of; None: all.
        events: events with a task and an event type.
        positives: events that count as engagement.
        first, last: times of the first and the last event.
        users: users with events.
        per_user: median and 90th percentile of the events in a user's history.
        earlier: median number of events in the history before a positive.
        rating_types: event types whose values are ratings of one and the same scale.
        valued_types: event types that have values.
        age_days: median age of items at the positives of feeds, without feeds of all tasks; None = unknown.
    """

    surfaces: tuple[Surface, ...]
    signals: tuple[EventKind, ...]
    left_out: tuple[str, ...]
    read: tuple[str, ...] | None
    events: int
    positives: int
    first: pd.Timestamp
    last: pd.Timestamp
    users: int
    per_user: tuple[float, float]
    earlier: float
    rating_types: tuple[str, ...]
    valued_types: tuple[str, ...]
    age_days: float | None

    @property
    def days(self) -> float:
        """Length of the log in days."""
        return float((self.last - self.first).total_seconds() / DAY)


def inspect_events(log: InteractionLog) -> EventFindings:
    """Look at the events of a log.

    Raises:
        UserError: there are no items or no events to look at, or a task's name cannot be a file's.
    """
    events = log.events
    named = [events[c].notna() & (events[c].str.strip() != "") for c in ("task", "event_type")]
    events = events[(named[0] & named[1] & events["timestamp"].notna()).to_numpy(bool)]
    if log.items.empty or events.empty:
        what = "items" if log.items.empty else "events"
        raise UserError(
            f"`{what}`: a project is written by looking at the data. "
            f"Received: a table with none of the {what} it needs. Give a table with rows."
        )
    _check_task_names(events["task"].unique())
    ages = _ages(events, log.items)
    kinds = {str(t): _event_kinds(g) for t, g in events.groupby("task", sort=True)}
    left_out = [t for t, k in kinds.items() if all(kind.role == "signal" for kind in k)]
    if len(left_out) == len(kinds):
        # If all events are anonymous and without query or source, they are the positives.
        kinds = {t: tuple(replace(k, role="positive") for k in of) for t, of in kinds.items()}
        left_out = []
    positive = _positive_rows(events, kinds)
    in_history = events["event_type"].isin(_read_types(kinds))
    had = _had_before(events[in_history])
    surfaces = tuple(
        _surface(t, of, events[(events["task"] == t).to_numpy(bool)], positive, had, ages)
        for t, of in kinds.items()
        if t not in left_out
    )
    return _findings(events, in_history, positive, kinds, surfaces, left_out, ages)


def _findings(
    events: pd.DataFrame,
    in_history: "pd.Series[bool]",
    positive: "pd.Series[bool]",
    kinds: dict[str, tuple[EventKind, ...]],
    surfaces: tuple[Surface, ...],
    left_out: list[str],
    ages: "pd.Series[float]",
) -> EventFindings:
    known = events[events["user_id"].notna() & in_history]
    earlier = known.groupby("user_id").cumcount()[positive[known.index]]
    per_user = known["user_id"].value_counts()
    feeds = [s.task for s in surfaces if s.kind == "feed"]
    chosen = ages[positive & (events["task"].isin(feeds) if feeds else True)]
    valued = [k for of in kinds.values() for k in of if k.valued]
    one_scale = len({k.rating_top for k in valued}) == 1
    return EventFindings(
        surfaces=surfaces,
        signals=tuple(k for of in kinds.values() for k in of if k.role == "signal"),
        left_out=tuple(left_out),
        read=tuple(_read_types(kinds)) if not in_history.all() else None,
        events=len(events),
        positives=int(positive.sum()),
        first=events["timestamp"].min(),
        last=events["timestamp"].max(),
        users=events["user_id"].nunique(),
        per_user=(_quantile(per_user, 0.5), _quantile(per_user, 0.9)),
        earlier=_quantile(earlier, 0.5),
        rating_types=_names(k for k in valued if one_scale and k.rating_top is not None),
        valued_types=_names(valued),
        age_days=float(chosen.median()) if chosen.notna().any() else None,
    )


def _check_task_names(tasks: Iterable[str]) -> None:
    bad = sorted(t for t in tasks if not LOWER_NAME.fullmatch(t))
    if bad:
        listed = ", ".join(f"`{t}`" for t in bad)
        raise UserError(
            f"`events.task`: a task is declared by a file of its name, so it must be in lower case letters, "
            f"digits and _, and begin with a letter. Received: {listed}. Rename them in the data."
        )


def _event_kinds(of_task: pd.DataFrame) -> tuple[EventKind, ...]:
    """Return the event types of a task, most frequent first, with their roles."""
    out = []
    for event_type, group in of_task.groupby("event_type", sort=True):
        name, users = str(event_type), int(group["user_id"].nunique())
        bare = users == 0 and group["query"].isna().all() and group["source_item_id"].isna().all()
        role: EventRole = "signal" if bare else _role_by_name(name)
        valued = bool(np.isfinite(group["value"]).any())
        out.append(EventKind(name, len(group), users, valued, rating_top(group["value"]), role))
    if not any(k.role == "positive" for k in out):
        out = [replace(k, role="positive") if k.role != "signal" else k for k in out]
    return tuple(sorted(out, key=lambda k: (-k.events, k.event_type)))


def _role_by_name(event_type: str) -> EventRole:
    words = set(re.split(r"[\W_]+", event_type.lower()))
    return "shown" if words & SHOWN_WORDS else "no engagement" if words & REFUSED_WORDS else "positive"


def rating_top(values: "pd.Series[float]") -> float | None:
    """Return the top of the rating scale that `values` `[events]` are on; None when they are no ratings.

    Ratings are whole or half steps from 0.5 to 5 or 10, and high ones are frequent. A quantity on the same steps is
    mostly 1.
    """
    there = values.to_numpy(np.float64)
    there = there[np.isfinite(there)]
    if len(there) < VALUED_SHARE * len(values) or len(np.unique(there)) < 2:
        return None
    if there.min() < 0.5 or (2 * there != np.floor(2 * there)).any():
        return None
    for top in RATING_TOPS:
        if there.max() <= top:
            return top if (there >= 0.8 * top).mean() >= LIKED_SHARE else None
    return None


def _positive_rows(events: pd.DataFrame, kinds: dict[str, tuple[EventKind, ...]]) -> "pd.Series[bool]":
    """Return which events count as engagement."""
    out = pd.Series(False, index=events.index)
    for task, of in kinds.items():
        for kind in of:
            if kind.role != "positive":
                continue
            match = (events["task"] == task) & (events["event_type"] == kind.event_type)
            out |= match if kind.least is None else match & (events["value"] >= kind.least)
    return out.astype(bool)


def _surface(
    task: str,
    kinds: tuple[EventKind, ...],
    of_task: pd.DataFrame,
    positive: "pd.Series[bool]",
    had: "pd.Series[bool]",
    ages: "pd.Series[float]",
) -> Surface:
    chosen = of_task[positive[of_task.index]]
    known = chosen[chosen["user_id"].notna()]
    queries, sources = float(chosen["query"].notna().mean()), float(chosen["source_item_id"].notna().mean())
    age = ages[chosen.index]
    return Surface(
        task=task,
        kind="search" if queries >= 0.5 else "more_like_this" if sources >= 0.5 else "feed",
        events=len(of_task),
        query_share=queries,
        source_share=sources,
        repeat_share=float(known.duplicated(["user_id", "item_id"]).mean()) if len(known) else 0.0,
        had_share=float(had[known.index].mean()) if len(known) else 0.0,
        again_share=_again_share(known),
        derived=bool(of_task["derived"].all()),
        kinds=kinds,
        median_age=float(age.median()) if age.notna().any() else None,
    )


def _had_before(events: pd.DataFrame) -> "pd.Series[bool]":
    """Return which events have a user who had the item before, on any surface, `[events]`."""
    first = events.groupby(["user_id", "item_id"], dropna=True)["timestamp"].transform("min")
    return events["user_id"].notna() & (first < events["timestamp"])


def _again_share(positives: pd.DataFrame) -> float:
    """Return the share of positives with an item of an earlier visit, among the positives of returning users.

    Positives of a user's first visit do not count, because they cannot be repeats.
    """
    time, user = positives["timestamp"], positives["user_id"]

    def since(first: "pd.Series[pd.Timestamp]") -> "pd.Series[float]":
        return (time - first).dt.total_seconds()

    back = since(time.groupby(user).transform("min")) >= VISITS_APART
    again = since(time.groupby([user, positives["item_id"]]).transform("min")) >= VISITS_APART
    return float(again[back].mean()) if back.any() else 0.0


def _ages(events: pd.DataFrame, items: pd.DataFrame) -> "pd.Series[float]":
    """Return the age of each event's item in days `[events]`; NaN where unknown or not yet created."""
    created = items.dropna(subset=["item_id"]).drop_duplicates("item_id").set_index("item_id")["created_at"]
    of_event = pd.Series(created.reindex(events["item_id"]).array, index=events.index)
    age = (events["timestamp"] - of_event).dt.total_seconds() / DAY
    return age.where(age >= 0)


def _read_types(kinds: dict[str, tuple[EventKind, ...]]) -> tuple[str, ...]:
    """Return the event types that histories consist of: all but those that say an item was only shown.

    What a request showed is logged before what was chosen of it. In a history it would tell the model the answer's
    slate, which no request knows when it is made: on a simulated shop NDCG@10 was 3.9 times the best reachable.
    """
    return _names(kind for of in kinds.values() for kind in of if kind.role != "shown")


def _names(kinds: Iterable[EventKind]) -> tuple[str, ...]:
    """Return the distinct event types of `kinds`, in their order."""
    return tuple(dict.fromkeys(k.event_type for k in kinds))


def _quantile(values: "pd.Series[int]", share: float) -> float:
    return float(values.quantile(share)) if len(values) else 0.0
