"""Candidate rule of one request over an opened release, including live changes."""

import numpy as np

from unified_ranker.core.arrays import MISSING, Ints, Mask
from unified_ranker.core.candidate_rule import Pairs, allowed, excluded_events
from unified_ranker.core.offers import Offers
from unified_ranker.core.proposal_rule import proposals_first
from unified_ranker.core.request import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease

NONE = np.zeros(0, np.int64)
Rows = Ints | slice
"""Rows of items; a slice for all of them, because it copies nothing."""


class RequestRule:
    """Rule of one request: which items may answer it, by their positions (`OpenedRelease.positions`).

    Attributes:
        request: the request.
        wanted: number of candidates that retrieval should find.
        excluded: upper bound of the release's items that the request excludes: those not created before it, its source
            and query item, and engaged items; and those that were replaced or removed.
        withheld: number of the release's items that are not offered in its country.
    """

    def __init__(self, release: OpenedRelease, request: Request) -> None:
        """Find the items that the request excludes; a request without a time gets the present one."""
        self.request, self.wanted = request, release.candidates(request)
        self._release = release
        self._moment = release.moment(request)
        past, task = request.history, release.config.tasks[request.task]
        engaged = past.item_id[excluded_events(past, self._moment, request.task, task)]
        self._source, self._query = release.positions([request.source_item_id, request.query_item_id])
        self._engaged = _present(release.positions(dict.fromkeys(engaged)))
        self._gone = release.live.removed if release.live is not None else NONE
        named = np.unique(np.concatenate([_present(np.array([self._source, self._query])), self._engaged]))
        late = release.not_before(self._moment)
        self.excluded = int((named < len(release.item_ids)).sum()) + late + len(self._gone)
        self.withheld = release.offers.withheld(request.country)

    def allowed(self, positions: Ints) -> Mask:
        """Return which items at `positions` `[n]` may answer; -1 stands for no item and may not."""
        items = len(self._release.item_ids)
        late = positions >= items
        out = np.zeros(len(positions), bool)
        out[~late] = self._of_release(positions[~late])
        out[late] = self._of_live(positions[late] - items)
        return out

    def of_release(self) -> Mask:
        """Return which of the release's own items may answer, `[items]`."""
        return self._of_release(slice(None))

    def of_live(self) -> Mask:
        """Return which live items may answer, `[live]`."""
        return self._of_live(slice(None))

    def with_proposals(self, found: Ints, proposed: Ints) -> Ints:
        """Put the items that the model's signals propose before those that retrieval found, each once.

        Args:
            found: positions of items that may answer, best first.
            proposed: positions of items, each once; those that may not answer are left out.

        Returns:
            At most `wanted` positions.
        """
        return proposals_first(found, proposed[self.allowed(proposed)], self.wanted)

    def _of_release(self, rows: Rows) -> Mask:
        release = self._release
        item = _numbers(rows, len(release.item_ids))
        if len(self._gone):
            item = np.where(_marked(self._gone, len(release.item_ids))[rows], MISSING, item)
        return self._may(item, release.created_at, release.offers, rows, 0)

    def _of_live(self, rows: Rows) -> Mask:
        live, first = self._release.live, len(self._release.item_ids)
        if live is None:
            return np.zeros(0, bool)
        return self._may(first + _numbers(rows, len(live)), live.created_at, live.offers, rows, first)

    def _may(self, item: Ints, created_at: Ints, offers: Offers, rows: Rows, first: int) -> Mask:
        engaged = _marked(self._engaged, self._release.position_count)[first : first + len(created_at)]
        mask: Mask = allowed(
            Pairs(
                item=item,
                created_at=created_at[rows],
                moment=self._moment,
                source_item=self._source,
                query_item=self._query,
                engaged=engaged[rows],
                offered=offers.offered(self.request.country)[rows],
                available=offers.available[rows],
            )
        )
        return mask


def _present(positions: Ints) -> Ints:
    return positions[positions != MISSING]


def _numbers(rows: Rows, count: int) -> Ints:
    return np.arange(count) if isinstance(rows, slice) else rows


def _marked(positions: Ints, count: int) -> Mask:
    """Return a mask `[count]` of `positions`; allocated as zeros, so that untouched pages cost nothing."""
    out = np.zeros(count, bool)
    out[positions] = True
    return out
