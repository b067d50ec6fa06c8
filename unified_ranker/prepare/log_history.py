"""Histories from a project's own event log, as of any moment."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from unified_ranker.core.event import Event
from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.events.base import MOST, LoggedEvent
from unified_ranker.prepare.prepared import Prepared


class LogHistory:
    """Histories of the users of a prepared log, as of any moment."""

    def __init__(self, prepared: Prepared) -> None:
        """Index the users of `prepared`."""
        self._histories = prepared.histories
        # Once, because a table of pandas takes as long as its items each time. The last is for index -1.
        self._names = np.append(prepared.item_ids, "")
        self._users = {user: i for i, user in enumerate(prepared.user_ids)}

    def before(self, user_id: str, timestamp: int) -> History:
        """Return a user's events strictly before a time in seconds (0 = all); empty for an unknown user."""
        number = self._users.get(user_id)
        if number is None:
            return NO_HISTORY
        columns = self._histories
        start, end = int(columns.offsets[number]), int(columns.offsets[number + 1])
        if timestamp:
            end = start + int(np.searchsorted(columns.timestamp[start:end], timestamp, side="left"))
        return columns.events(slice(start, end), self._names.__getitem__)


def log_lines(prepared: Prepared) -> Iterator[LoggedEvent]:
    """Yield the latest events of every user of a prepared log, in the form that `HistoryStore.import_lines` takes.

    Values are written as a client writes them, so that an event that was reported has the same line.
    """
    histories, users = prepared.histories, np.arange(len(prepared.users))
    windows = histories.windows(users, np.diff(histories.offsets), MOST)
    names, events = np.repeat(prepared.user_ids, windows.length), histories.events(windows.rows, prepared.ids_of)
    columns = (events.item_id, events.task, events.event_type, events.timestamp.tolist(), events.value)
    moment, seen = ("", 0), Counter[bytes]()
    for user, item_id, task, event_type, timestamp, value in zip(names, *columns, strict=True):
        # The shortest text of 32 bits: 4.1, and not 4.099999904632568.
        event = Event(str(user), str(item_id), str(task), str(event_type), timestamp, float(str(value)) or None)
        if moment != (event.user_id, timestamp):
            moment, seen = (event.user_id, timestamp), Counter()
        line = event.line()
        yield LoggedEvent(event.user_id, timestamp, event.digest(seen[line]), line, seen[line])
        seen[line] += 1
