"""Feed of a store of histories from a source of events."""

from unified_ranker.events.base import EventSource, HistoryStore


class EventFeed:
    """Takes the events of a source over into a store of histories, where they are followed like any others."""

    def __init__(self, source: EventSource, histories: HistoryStore) -> None:
        """Feed `histories` from `source`."""
        self._source, self._histories = source, histories

    def poll(self) -> int:
        """Take in what came; returns how many events were new. Events that are told twice count once.

        Raises:
            UserError: what came is no table or message of events.
            StoreError: they cannot be kept.
        """
        new = 0
        while events := self._source.new():
            new += self._histories.append(events)
            self._source.done()
        # A source may have passed over what holds no event.
        self._source.done()
        return new
