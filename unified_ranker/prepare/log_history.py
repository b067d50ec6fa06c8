"""Histories from a project's own event log, as of any moment."""

from collections.abc import Iterator

import numpy as np

from unified_ranker.core.event import Event
from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.events.base import MOST
from unified_ranker.prepare.prepared import Prepared


class LogHistory:
    """Histories of the users of a prepared log, as of any moment."""

    def __init__(self, prepared: Prepared) -> None:
        """Index the users of `prepared`."""
        self._histories, self._item_ids = prepared.histories, prepared.item_ids
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
        rows = slice(start, end)
        return History(
            item_id=self._item_ids[columns.item[rows]],
            event_type=columns.event_type[rows],
            task=columns.task[rows],
            timestamp=columns.timestamp[rows],
            value=columns.value[rows],
        )


def log_lines(prepared: Prepared) -> Iterator[tuple[str, int, bytes, bytes]]:
    """Yield the latest events of every user of a prepared log, in the form that `HistoryStore.import_lines` takes."""
    columns, ids, users = prepared.histories, prepared.item_ids, np.arange(len(prepared.users))
    windows = columns.windows(users, np.diff(columns.offsets), MOST)
    for user, row in zip(np.repeat(prepared.user_ids, windows.length), windows.rows.tolist(), strict=True):
        value = float(columns.value[row])
        event = Event(
            user_id=str(user),
            item_id=str(ids[columns.item[row]]),
            task=str(columns.task[row]),
            event_type=str(columns.event_type[row]),
            timestamp=int(columns.timestamp[row]),
            value=value or None,
        )
        yield event.user_id, event.timestamp, event.digest(), event.line()
