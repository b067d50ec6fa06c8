"""Which items may answer a request: one rule for evaluation, export and serving (design section 4)."""

from functools import cached_property

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints, Mask, Strings
from unified_ranker.core.errors import unknown_name
from unified_ranker.evaluation.engagements import Engagements
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared

REASONS = (
    "unknown item",
    "created after the request",
    "is the source item",
    "is the query item",
    "already engaged with",
)
"""Why a target can be no candidate of its own request, in the order in which they are tried."""


class CandidateRules:
    """The candidates of a request.

    A candidate existed at the time of the request (an item without a creation time always did), is neither
    the source item nor the query item, and, on a task with `exclude_engaged`, was no positive of that user on
    that task strictly before. Anonymous users have engaged with nothing.
    """

    def __init__(self, prepared: Prepared, config: Config) -> None:
        self._prepared, self._config = prepared, config
        self._engagements: dict[str, Engagements] = {}

    def allowed(self, requests: Examples) -> Mask:
        """Return which items may answer which request, `[batch, items]`."""
        mask = self._created_at[None, :] <= requests.timestamp[:, None]
        for banned in (requests.source_item, requests.query_item):
            rows = np.flatnonzero(banned != MISSING)
            mask[rows, banned[rows]] = False
        for task in self._excluding(requests):
            rows = np.flatnonzero(requests.task == task)
            at, items = self._engaged_on(task).pairs(requests.user[rows], requests.timestamp[rows])
            mask[rows[at], items] = False
        return mask

    def engaged(self, user: int, task: str, timestamp: int) -> Ints:
        """Return the items that are no candidates because `user` had engaged with them on `task`.

        `user` is an index (`MISSING` = anonymous), `timestamp` in seconds. Distinct item indices, ascending;
        empty on tasks without `exclude_engaged`.

        Raises:
            UserError: there is no such task.
        """
        if task not in self._config.tasks:
            raise unknown_name("task", task, self._config.tasks)
        if not self._config.tasks[task].exclude_engaged:
            return np.zeros(0, np.int64)
        return self._engaged_on(task).before(user, timestamp)

    def unreachable(self, requests: Examples) -> Strings:
        """Return why the target is no candidate, `[batch]`, one of `REASONS`; "" where it is one."""
        known = requests.item != MISSING
        place = np.where(known, requests.item, 0)
        engaged = np.zeros(len(requests), bool)
        for task in self._excluding(requests):
            rows = np.flatnonzero(requests.task == task)
            at, items = self._engaged_on(task).pairs(requests.user[rows], requests.timestamp[rows])
            engaged[rows[at[items == requests.item[rows[at]]]]] = True
        conditions = [
            ~known,
            known & (self._created_at[place] > requests.timestamp),
            known & (requests.item == requests.source_item),
            known & (requests.item == requests.query_item),
            engaged,
        ]
        out = np.full(len(requests), "", object)
        for condition, reason in reversed(list(zip(conditions, REASONS, strict=True))):
            out[condition] = reason
        return out

    @cached_property
    def _created_at(self) -> Ints:
        return self._prepared.created_at

    def _excluding(self, requests: Examples) -> list[str]:
        return [t for t in dict.fromkeys(requests.task.tolist()) if self._config.tasks[t].exclude_engaged]

    def _engaged_on(self, task: str) -> Engagements:
        if task not in self._engagements:
            examples = self._prepared.examples
            of_task = examples.take(examples.task == task)
            self._engagements[task] = Engagements(of_task, len(self._prepared.users), len(self._prepared.items))
        return self._engagements[task]
