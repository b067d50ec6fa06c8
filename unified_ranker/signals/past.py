"""Last items of a user as of a moment, for signals that read further back than the user tower."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.config import Task
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.core.windows import last_events, whole_seconds
from unified_ranker.prepare.examples import Histories, TimeIndex


class PastItems:
    """The last `count` items of each user strictly before a moment, from the log, in whole seconds."""

    def __init__(self, histories: Histories, count: int) -> None:
        """Index `histories`."""
        self.count, self._item, self._time = count, histories.item, histories.timestamp
        self._users = len(histories.offsets) - 1
        self._index = TimeIndex(histories.offsets, histories.timestamp)

    def before(self, user: Ints, time: Ints) -> tuple[Ints, Ints]:
        """Return items and times of the events before `time` `[n]` (seconds), newest first, `[n, count]` each.

        Items are -1 and times 0 where there are fewer. An unknown `user` `[n]` has none.
        """
        known = (user >= 0) & (user < self._users)
        whose = np.where(known, user, 0)
        end = self._index.end(whose, time)
        number = np.where(known, end - self._index.offsets[whose], 0)
        kept = whole_seconds(end, number, self.count, self._time)
        windows = last_events(end, kept, width=self.count, newest_first=True)
        return windows.pad(self._item[windows.rows], MISSING), windows.pad(self._time[windows.rows], 0)


class RefusedItems:
    """The last items that each user refused strictly before a moment, by the `refusals` of the request's task.

    Attributes:
        count: number of items for a request; 0 where no task declares refusals.
    """

    def __init__(self, histories: Histories, tasks: Sequence[Task], most: int = 4) -> None:
        """Index `histories` for `tasks`, whose numbers begin at 1; `most` items are read."""
        self.count = most if any(task.refusals for task in tasks) else 0
        self._past = {
            number: PastItems(histories.only(np.isin(histories.event_type.astype(str), task.refusals)), most)
            for number, task in enumerate(tasks, start=1)
            if task.refusals
        }

    def before(self, user: Ints, time: Ints, task: Ints) -> Ints:
        """Return the items, newest first, `[n, count]`; -1 where there are fewer. For the arguments see `PastItems`."""
        out = np.full((len(user), self.count), MISSING, np.int64)
        for number, past in self._past.items():
            rows = np.flatnonzero(task == number)
            out[rows] = past.before(user[rows], time[rows])[0]
        return out
