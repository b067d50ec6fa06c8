"""Events as a client reports them and as another log has them, and what a store holds of changed items."""

from unified_ranker.core.event import Event
from unified_ranker.events.base import LoggedEvent


def event(user="u", item="i", time=1000, **more):
    return Event(user, item, "home_feed", "click", time, **more)


def logged(*events):
    """Events as another log has them; equal lines of a second are numbered."""
    lines = [(one.user_id, one.timestamp, one.line()) for one in events]
    numbers = [lines[:n].count(line) for n, line in enumerate(lines)]
    return [
        LoggedEvent(one.user_id, one.timestamp, one.digest(number), one.line(), number)
        for one, number in zip(events, numbers, strict=True)
    ]


def held(changes):
    return [(change.item_id, change.fields, change.partial) for change in changes]
