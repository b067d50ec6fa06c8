"""Candidate rule of one request over a release as it is now, live changes included."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import MISSING, Ints, Mask
from unified_ranker.core.candidate_rule import Pairs, allowed, excluded_events
from unified_ranker.core.offers import Offers
from unified_ranker.core.request import Request
from unified_ranker.serving.answering.opened_release import OpenedRelease

NONE = np.zeros(0, np.int64)


class RequestRule:
    """Which items may answer a request, by their positions (`OpenedRelease.positions`).

    Attributes:
        excluded: how many of the release's items the request itself excludes at most: those created later, its source
            and query item, and what its user engaged with; with those that were replaced or taken out.
        withheld: how many of them may not be shown in its country.
    """

    def __init__(self, release: OpenedRelease, request: Request) -> None:
        """Work out what the request excludes; a request without a time is made now."""
        self._release, self._country = release, request.country
        self._moment = request.timestamp if request.timestamp > 0 else int(release.clock())
        past, task = request.history, release.config.tasks[request.task]
        engaged = past.item_id[excluded_events(past, self._moment, request.task, task)]
        self._source, self._query = release.positions([request.source_item_id, request.query_item_id])
        self._engaged = _present(release.positions(dict.fromkeys(engaged)))
        self._gone = release.live.removed if release.live is not None else NONE
        named = np.unique(np.concatenate([_present(np.array([self._source, self._query])), self._engaged]))
        late = release.created_after(self._moment)
        self.excluded = int((named < len(release.item_ids)).sum()) + late + len(self._gone)
        self.withheld = release.offers.withheld(request.country)

    def allowed(self, positions: Ints) -> Mask:
        """Return which items at `positions` `[n]` may answer; -1 stands for no item and may not."""
        late = positions >= len(self._release.item_ids)
        out = np.zeros(len(positions), bool)
        out[~late] = self._of_release(positions[~late])
        out[late] = self._of_live(positions[late])
        return out

    def of_release(self) -> Mask:
        """Return which of the release's own items may answer, `[items]`."""
        return self._of_release(np.arange(len(self._release.item_ids)))

    def of_live(self) -> Mask:
        """Return which of the items that came since may answer, `[live]`."""
        items, live = len(self._release.item_ids), self._release.live
        return self._of_live(np.arange(items, items + len(live)) if live is not None else NONE)

    def with_proposals(self, found: Ints, proposed: Sequence[str], most: int) -> Ints:
        """Put the items that the model's signals propose before those that retrieval found, each once.

        Args:
            found: positions of items that may answer, best first.
            proposed: item ids; those that may not answer are left out.
            most: how many positions to return.
        """
        places = self._release.positions(proposed)
        places = places[self.allowed(places)]
        return np.concatenate([places, found[~np.isin(found, places)]])[:most]

    def _of_release(self, positions: Ints) -> Mask:
        release = self._release
        present = np.where(_marked(self._gone, len(release.item_ids))[positions], MISSING, positions)
        return self._may(present, release.created_at[positions], release.offers, positions)

    def _of_live(self, positions: Ints) -> Mask:
        live = self._release.live
        if live is None:
            return np.zeros(len(positions), bool)
        rows = positions - len(self._release.item_ids)
        return self._may(positions, live.created_at[rows], live.offers, rows)

    def _may(self, item: Ints, created_at: Ints, offers: Offers, rows: Ints) -> Mask:
        mask: Mask = allowed(
            Pairs(
                item=item,
                created_at=created_at,
                moment=self._moment,
                source_item=self._source,
                query_item=self._query,
                engaged=_marked(self._engaged, self._release.position_count)[item],
                offered=offers.offered(self._country)[rows],
                available=offers.available[rows],
            )
        )
        return mask


def _present(positions: Ints) -> Ints:
    return positions[positions != MISSING]


def _marked(positions: Ints, count: int) -> Mask:
    """Return a mask `[count]` of `positions`; memory that is never read costs nothing."""
    out = np.zeros(count, bool)
    out[positions] = True
    return out
