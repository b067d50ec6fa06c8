"""Inspection of the events of a log: its surfaces, the events that count as engagement, and the behaviour of users."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import pandas as pd

from unified_ranker.config import Positive
from unified_ranker.config.yaml_files import LOWER_NAME
from unified_ranker.core.errors import UserError
from unified_ranker.core.positives import matches
from unified_ranker.core.times import DAY, seconds, usual_span
from unified_ranker.log.schema import InteractionLog
from unified_ranker.project.init.event_words import is_act, refusal
from unified_ranker.project.value_scale import UNDECLARED, ValueColumn, ValueScale, value_scale

SurfaceKind = Literal["search", "more_like_this", "feed"]
EventRole = Literal["positive", "signal", "shown", "refused"]

VISITS_APART = DAY
"""Least seconds after a user's first engagement with an item for another one to belong to a later visit.

Repeats within a day depend on what the log calls an event: a view, a like and a comment of one visit, or a discussion
of some hours (docs/records/offered-again.md).
"""
RARELY_RATED = 0.01
"""Least share of events with a rating from which ratings of an act are a scale: the others count without one."""
OFFERED_AGAIN = 0.25
"""Least `again_share` of a feed that offers users their earlier items again (docs/records/offered-again.md)."""


@dataclass(frozen=True)
class EventKind:
    """One event type of one task: how many events and distinct users, its values, and its role.

    Attributes:
        valued: whether some of its events have a value.
        scale: of its values; None where they say neither yes nor no.
        unrated: whether events without a rating count: the type says what was done, and some are not rated.
    """

    event_type: str
    events: int
    users: int
    valued: bool
    scale: ValueScale | None
    role: EventRole
    unrated: bool = False

    @property
    def counted(self) -> Positive:
        """Its declaration as a positive, whose head is still to be named."""
        least, above = (None, None) if self.scale is None else (self.scale.least, self.scale.above)
        return Positive(event_type=self.event_type, min_value=least, above=above, unrated=self.unrated, head="unnamed")

    @property
    def rating_top(self) -> float | None:
        """The top of its ratings; None where its values are no ratings."""
        return None if self.scale is None or self.scale.kind != "rating" else self.scale.top


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
        left_out: tasks without engagement: they have only such events and refusals.
        read: event types that histories consist of; None: all.
        events: events with a task and an event type.
        positives: events that count as engagement.
        first, last: times of the first and the last event that is no outlier.
        users: users with events.
        per_user: median and 90th percentile of the events in a user's history.
        earlier: median number of events in the history before a positive.
        rating_types: event types whose values are ratings of one scale; none where a number stands for no rating.
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


def inspect_events(log: InteractionLog, column: ValueColumn = UNDECLARED) -> EventFindings:
    """Look at the events of a log, whose values are of a column.

    Raises:
        UserError: there are no items or no events to look at, no event is engagement, or a task's name cannot be a
            file's.
    """
    events = log.events
    named = [events[c].notna() & (events[c].str.strip() != "") for c in ("task", "event_type")]
    events = events[(named[0] & named[1] & events["timestamp"].notna()).to_numpy(bool)]
    if log.items.empty or events.empty:
        what = "items" if log.items.empty else "events"
        raise UserError(
            f"`{what}`: a project is written by looking at the data. "
            f"Received: none of the {what} it needs: no row has an item, a task, an event type and a time from 1970 "
            "until now. Give a table with rows, and see whether their times are in another unit: "
            "`--map 'timestamp={column: NAME, unit: ms}'`."
        )
    _check_task_names(events["task"].unique())
    ages = _ages(events, log.items)
    kinds = {str(t): _event_kinds(g, column) for t, g in events.groupby("task", sort=True)}
    if not _engaged(kinds):
        # If all events are anonymous and without query or source, they are the positives.
        kinds = {t: _instead(of, "signal") for t, of in kinds.items()}
    left_out = [t for t in kinds if t not in _engaged(kinds)]
    if len(left_out) == len(kinds):
        refused = ", ".join(f"`{name}`" for name in sorted({k.event_type for of in kinds.values() for k in of}))
        raise UserError(
            "`events.event_type`: some events must be engagement, for the model to learn from. Received: "
            f"{refused}, which by name or value mean that users refused an item. Add events that say yes."
        )
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
    first, last = usual_span(seconds(events["timestamp"]))
    one_scale = len({k.rating_top for k in valued}) == 1 and not any(k.scale and k.scale.unrated for k in valued)
    return EventFindings(
        surfaces=surfaces,
        signals=tuple(k for of in kinds.values() for k in of if k.role == "signal"),
        left_out=tuple(left_out),
        read=tuple(_read_types(kinds)) if not in_history.all() else None,
        events=len(events),
        positives=int(positive.sum()),
        first=pd.Timestamp(first, unit="s", tz="UTC"),
        last=pd.Timestamp(last, unit="s", tz="UTC"),
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


def _event_kinds(of_task: pd.DataFrame, column: ValueColumn) -> tuple[EventKind, ...]:
    """Return the event types of a task, most frequent first, with their roles."""
    out = []
    for event_type, group in of_task.groupby("event_type", sort=True):
        name, users = str(event_type), int(group["user_id"].nunique())
        bare = users == 0 and group["query"].isna().all() and group["source_item_id"].isna().all()
        valued, act = bool(np.isfinite(group["value"]).any()), is_act(name)
        scale = value_scale(group["value"], column)
        if scale is None and act:
            # Of what was done and rarely rated, low ratings say no all the same.
            rare = value_scale(group["value"], column, RARELY_RATED)
            scale = rare if rare is not None and rare.kind == "rating" else None
        role: EventRole = "signal" if bare else _role(name, group["value"], scale)
        unrated = act and scale is not None and scale.kind == "rating" and not (group["value"] > 0).all()
        out.append(EventKind(name, len(group), users, valued, scale, role, bool(unrated)))
    kinds = tuple(sorted(out, key=lambda k: (-k.events, k.event_type)))
    return kinds if any(k.role == "positive" for k in kinds) else _instead(kinds, "shown")


def _role(name: str, values: "pd.Series[float]", scale: ValueScale | None) -> EventRole:
    """Return the role of an event type by its name and values `[events]`, unless its events are a signal."""
    says = refusal(name)
    if says == "shown" and scale is not None and scale.kind == "vote":
        # Impressions that carry the click: 1 where there was one.
        says = None
    # Negative numbers throughout, as those of a table of returns.
    return says or ("refused" if (values < 0).any() and not (values >= 0).any() else "positive")


def _instead(kinds: tuple[EventKind, ...], role: EventRole) -> tuple[EventKind, ...]:
    """Return the event types of a task without engagement, with those of a role as its positives."""
    return tuple(replace(k, role="positive") if k.role == role else k for k in kinds)


def _engaged(kinds: dict[str, tuple[EventKind, ...]]) -> list[str]:
    """Return the tasks with an event type that is engagement."""
    return [task for task, of in kinds.items() if any(k.role == "positive" for k in of)]


def _positive_rows(events: pd.DataFrame, kinds: dict[str, tuple[EventKind, ...]]) -> "pd.Series[bool]":
    """Return which events count as engagement."""
    out = pd.Series(False, index=events.index)
    for task, of in kinds.items():
        for kind in of:
            if kind.role != "positive":
                continue
            out |= (events["task"] == task) & matches(events["event_type"], events["value"], kind.counted)
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
