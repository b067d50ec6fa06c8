"""Feed: copies the events of a source into a store of histories."""

from unified_ranker.events.base import EventSource, HistoryStore


class EventFeed:
    """Copies the events of a source into a store of histories, whose followers get them like all others."""

    def __init__(self, source: EventSource, histories: HistoryStore) -> None:
        """Feed `histories` from `source`."""
        self._source, self._histories = source, histories

    def poll(self) -> int:
        """Copy new events; returns how many were new to the store, where repeated events count once.

        Raises:
            UserError: the new data is no table or message of events.
            StoreError: they cannot be stored.
        """
        new = 0
        while events := self._source.new():
            new += self._histories.append(events)
            self._source.done()
        # Also without an event: the source may have skipped empty files.
        self._source.done()
        return new
