"""Quality of a prepared log: counts, checks and drift, which `prepare` writes and the command line shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from unified_ranker.prepare.column_drift import Moved


@dataclass(frozen=True)
class EventCounts:
    """Counts of a log's events.

    Attributes:
        read: events of the files.
        kept: events of the prepared log.
        quarantined: events by the rule that they break.
        repeated: events that equal another in all columns.
        repeated_dropped: whether those count once.
        out_of_order: events that are earlier than one before them in the files.
        positives: events that are examples.
    """

    read: int
    kept: int
    quarantined: dict[str, int]
    repeated: int
    repeated_dropped: bool
    out_of_order: int
    positives: int


@dataclass(frozen=True)
class Extremes:
    """Extremes of a log: the events of its most active user, and the share of events of its most frequent item."""

    most_events_of_a_user: int
    largest_share_of_an_item: float


@dataclass(frozen=True)
class LogQuality:
    """Quality of a prepared log.

    Attributes:
        events: their counts.
        extremes: of users and items.
        checks: a line for each check.
        drift: of every column, the last events against those before.
    """

    events: EventCounts
    extremes: Extremes
    checks: tuple[str, ...]
    drift: tuple[Moved, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the quality as JSON values."""
        return asdict(self)

    @classmethod
    def of_json(cls, tree: dict[str, Any]) -> LogQuality:
        """Read what `to_json` returned."""
        return cls(
            events=EventCounts(**tree["events"]),
            extremes=Extremes(**tree["extremes"]),
            checks=tuple(tree["checks"]),
            drift=tuple(Moved(**row) for row in tree["drift"]),
        )
