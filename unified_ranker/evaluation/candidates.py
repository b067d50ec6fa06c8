"""Candidates of recorded requests, by the rule of `core.candidate_rule`: a matrix of requests and items."""

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import Ints, Mask, Strings
from unified_ranker.core.candidate_rule import Pairs, allowed, first_reasons
from unified_ranker.core.offers import offers_of
from unified_ranker.evaluation.engagements import Engagements
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared


class CandidateRules:
    """Candidate rule for requests of a prepared log.

    Engaged items are those of the log's own positives. Offers are those of the items table, which has no history: an
    item that is not available now is no candidate of an earlier request either.
    """

    def __init__(self, prepared: Prepared, config: Config) -> None:
        self._prepared, self._config = prepared, config
        self._created_at, self._offers = prepared.created_at, offers_of(prepared.items)
        self._engagements: dict[str, Engagements] = {}

    def allowed(self, requests: Examples) -> Mask:
        """Return which items may answer which request, `[batch, items]`."""
        engaged = np.zeros((len(requests), len(self._created_at)), bool)
        engaged[self._engaged(requests)] = True
        offered, row = self._offered(requests)
        mask: Mask = allowed(
            Pairs(
                item=np.arange(len(self._created_at))[None],
                created_at=self._created_at[None],
                moment=requests.timestamp[:, None],
                source_item=requests.source_item[:, None],
                query_item=requests.query_item[:, None],
                engaged=engaged,
                offered=offered[row],
                available=self._offers.available[None],
            )
        )
        return mask

    def unreachable(self, requests: Examples) -> Strings:
        """Return the `Reason` for which the target is no candidate, `[batch]`; "" where it is one."""
        row, item = self._engaged(requests)
        engaged = np.zeros(len(requests), bool)
        engaged[row[item == requests.item[row]]] = True
        offered, country = self._offered(requests)
        return first_reasons(
            Pairs(
                item=requests.item,
                created_at=self._created_at[requests.item],
                moment=requests.timestamp,
                source_item=requests.source_item,
                query_item=requests.query_item,
                engaged=engaged,
                offered=offered[country, requests.item],
                available=self._offers.available[requests.item],
            )
        )

    def _offered(self, requests: Examples) -> tuple[Mask, Ints]:
        """Return the offered items of each distinct country, `[countries, items]`, and each request's row of it."""
        countries, row = np.unique(requests.country.astype(str), return_inverse=True)
        offered = np.array([self._offers.offered(str(country)) for country in countries], bool)
        return offered.reshape(len(countries), len(self._created_at)), row.reshape(-1)

    def _engaged(self, requests: Examples) -> tuple[Ints, Ints]:
        """Return the distinct pairs of a request and an engaged item that the request's task excludes."""
        rows, items = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)]
        for task in dict.fromkeys(requests.task.tolist()):
            if self._config.tasks[task].exclude_engaged:
                own = np.flatnonzero(requests.task == task)
                row, item = self._engaged_on(task).pairs(requests.user[own], requests.timestamp[own])
                rows.append(own[row])
                items.append(item)
        return np.concatenate(rows), np.concatenate(items)

    def _engaged_on(self, task: str) -> Engagements:
        if task not in self._engagements:
            examples = self._prepared.examples
            of_task = examples.take(examples.task == task)
            self._engagements[task] = Engagements(of_task, len(self._prepared.users), len(self._prepared.items))
        return self._engagements[task]
