"""Facts of a log, from which `init` decides a new project."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.offers import AVAILABLE
from unified_ranker.core.times import seconds
from unified_ranker.log.schema import LOG_COLUMNS, InteractionLog
from unified_ranker.prepare.undated_columns import Undated, declared_safe, undated_of_log
from unified_ranker.project.init.inspect_columns import (
    Finding,
    coordinates,
    inspect_column,
    present,
    without_twins,
)
from unified_ranker.project.init.inspect_events import EventFindings, inspect_events
from unified_ranker.project.init.inspected_part import WholeLog
from unified_ranker.project.value_scale import UNDECLARED, ValueColumn

FITTED = 0.9
"""Share of the events in the fit window that `init` declares."""
# Keys, the creation time, which freshness reads, and what is a filter as of today.
NO_FEATURES = frozenset({"item_id", "user_id", "created_at", AVAILABLE})
FRESH_SHARE = 0.05
"""Share of the log's length below which the median age of items at their events makes a log of new items."""


@dataclass(frozen=True)
class Facts:
    """Facts of a log, which `init` writes its declarations from.

    Attributes:
        name: the project's name.
        items: items in the catalogue.
        events: findings about the events.
        item_columns: findings about the item columns.
        user_columns: findings about the user columns.
        event_countries: share of events with a country.
        user_countries: share of users with a country.
        countries: distinct countries in events and users.
        coordinates: columns of items with latitude and longitude; None without them.
    """

    name: str
    items: int
    events: EventFindings
    item_columns: tuple[Finding, ...]
    user_columns: tuple[Finding, ...]
    event_countries: float
    user_countries: float
    countries: int
    coordinates: tuple[str, str] | None

    @property
    def titles(self) -> bool:
        """Tells whether items have usable titles."""
        return any(c.column == "title" and c.type == "text" for c in self.item_columns)

    @property
    def fresh(self) -> bool:
        """Tells whether most engagements come early in an item's life, by the ages of this log."""
        age = self.events.age_days
        return age is not None and age <= FRESH_SHARE * self.events.days


def look_at(log: InteractionLog, name: str, values: ValueColumn = UNDECLARED, whole: WholeLog | None = None) -> Facts:
    """Collect the facts of a log without bad events (`log.content_checks.without_quarantined`).

    Args:
        log: the log.
        name: of the project.
        values: the column of the events' values.
        whole: counts of the whole log, where `log` is a part of it.

    Raises:
        UserError: there is nothing in the log to learn from.
    """
    countries = [frame["country"] for frame in (log.events, log.users)]
    events = inspect_events(log, values)
    shares = [float(c.notna().mean()) if len(c) else 0.0 for c in countries]
    return Facts(
        name=name,
        items=len(log.items),
        events=events if whole is None else whole.of(events),
        item_columns=_findings(log, "items"),
        user_columns=_findings(log, "users"),
        event_countries=shares[0],
        user_countries=shares[1],
        countries=len({str(v) for c in countries for v in c.dropna().unique()}),
        coordinates=coordinates(log.items),
    )


def _findings(log: InteractionLog, name: str) -> tuple[Finding, ...]:
    """Return the finding about each column, in the table's order.

    Of the contract's columns, those that the source did not have are in the log all the same, and empty.
    """
    table, key = (log.items, "item_id") if name == "items" else (log.users, "user_id")
    events = log.events[key].value_counts().reindex(table[key], fill_value=0)
    activity = np.log1p(events.to_numpy(np.float64))
    undated = {found.column: found for found in _undated(log)} if name == "items" else {}
    found = [
        Finding(c, None, f"it {undated[c].why}; if it is none: {declared_safe(c)}")
        if c in undated
        else inspect_column(table[c], activity)
        for c in table.columns
        if c not in NO_FEATURES and (c not in LOG_COLUMNS[name] or present(table[c]).any())
    ]
    return tuple(without_twins(table, found))


def _undated(log: InteractionLog) -> list[Undated]:
    """Return the columns of items that count the log itself, by the events after its usual fit window."""
    times = log.events["timestamp"].dropna()
    return undated_of_log(log, int(np.quantile(seconds(times), FITTED))) if len(times) else []
