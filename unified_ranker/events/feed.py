"""Feed: copies the events of a source into a store of histories."""

import time
from collections.abc import Callable
from dataclasses import asdict

from unified_ranker.events.base import EventSource, HistoryStore
from unified_ranker.events.refused_records import RefusedRecords


class EventFeed:
    """Copies the events of a source into a store of histories, whose followers get them like all others.

    Args:
        source: of the events.
        histories: the store.
        quarantine: takes the events that no store takes (`Event.fault`); None: they are counted and logged.
        clock: returns the present, in seconds since 1970.
    """

    def __init__(
        self,
        source: EventSource,
        histories: HistoryStore,
        quarantine: RefusedRecords | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._source, self._histories, self._clock = source, histories, clock
        self.quarantine = quarantine or RefusedRecords()

    def poll(self) -> int:
        """Copy new events; returns how many were new to the store, where repeated events count once.

        Raises:
            UserError: the new data is no table or message of events.
            StoreError: they cannot be stored.
        """
        new = 0
        while events := self._source.new():
            now = int(self._clock())
            faults = [event.fault(now) for event in events]
            new += self._histories.append([e for e, fault in zip(events, faults, strict=True) if fault is None])
            for event, fault in zip(events, faults, strict=True):
                if fault is not None:
                    self.quarantine.add("event", f"`{fault[0]}`: {fault[1]}", asdict(event))
            self._source.done()
        # Also without an event: the source may have skipped empty files.
        self._source.done()
        return new
