"""Signal `transitions`: items that come soon after those of the user's history."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unified_ranker.signals.base import SIGNALS, SignalInputs
from unified_ranker.signals.history_sums import HistorySumsKind

if TYPE_CHECKING:
    from scipy import sparse


@SIGNALS.declare
class Transitions(HistorySumsKind):
    """Share of the candidate in what came within `reach` events after an item of the history, the nearer the more."""

    type: Literal["transitions"]
    reach: int = Field(5, ge=1)
    """Events after an item that count, each by one over its distance."""

    def pairs(self, inputs: SignalInputs) -> sparse.csr_array:
        """See `HistorySumsKind.pairs`."""
        from unified_ranker.signals.history_pairs import transition_shares

        return transition_shares(inputs.prepared.histories, inputs.end, len(inputs.prepared.items), self.reach)
