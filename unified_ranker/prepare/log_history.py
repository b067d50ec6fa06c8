"""Histories from a project's own event log, as of any moment."""

import numpy as np

from unified_ranker.core.request import NO_HISTORY, History
from unified_ranker.prepare.prepared import Prepared


class LogHistory:
    """What the users of a prepared log did before a moment."""

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
