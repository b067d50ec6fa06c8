"""Signal `neighbours`: items that the same users engaged with, over the whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.signals.history_sums import HistorySumsKind

if TYPE_CHECKING:
    from scipy import sparse


@SIGNALS.declare
class Neighbours(HistorySumsKind):
    """Cosines between the candidate and the items of the user's history (item-kNN), by the users who had both."""

    type: Literal["neighbours"]

    def pairs(self, inputs: SignalInputs) -> sparse.csr_array:
        """See `HistorySumsKind.pairs`."""
        from unified_ranker.signals.history_pairs import cosines, items_of_users

        had = items_of_users(inputs.prepared.histories, inputs.end, len(inputs.prepared.items))
        return cosines(had, self.neighbours)
