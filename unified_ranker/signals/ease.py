"""Signal `ease`: a linear item-to-item model of who had what, over the whole history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.signals.history_sums import HistorySumsKind

if TYPE_CHECKING:
    from scipy import sparse


@SIGNALS.declare
class EaseSums(HistorySumsKind):
    """Weights of the candidate for the items of the user's history in EASE, a linear model."""

    type: Literal["ease"]
    regularisation: float = Field(500.0, gt=0)
    """Ridge penalty."""
    most_items: int = Field(5000, ge=1)
    """Items with most positives that it covers: its time grows with the cube of this number (5 s for 5,000)."""

    def pairs(self, inputs: SignalInputs) -> sparse.csr_array:
        """See `HistorySumsKind.pairs`."""
        from unified_ranker.signals.history_pairs import ease_pairs

        prepared = inputs.prepared
        past, shape = prepared.between(None, inputs.end), (len(prepared.users), len(prepared.items))
        return ease_pairs(past, *shape, self.regularisation, self.most_items, self.neighbours)
