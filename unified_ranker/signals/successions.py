"""Signal `successions`: items that followed the user's last items."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import Field

from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalRequest
from unified_ranker.signals.first_occurrences import once_of_few
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.pair_signal import PairSignal
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from unified_ranker.signals.pair_counts import PairsAsOf


@SIGNALS.declare
class Successions(HistoryKind):
    """Counts of how often a candidate followed each of the user's last items."""

    type: Literal["successions"]
    window: int = Field(5, ge=1)
    """Number of the user's last items that are read, and of following events that count as successors of an item."""
    neighbours: int = Field(50, ge=1)
    """Strongest successors that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        from unified_ranker.signals.pair_counts import pairs_from_histories

        pairs = pairs_from_histories(inputs.prepared.histories, self.window, len(inputs.prepared.items))
        return SuccessionSignal(pairs, inputs.end, self.neighbours, self.candidates, self.window)


class SuccessionSignal(PairSignal):
    """Pairs that begin with one of the user's last items."""

    def __init__(self, pairs: PairsAsOf, end: int, neighbours: int, proposed: int, window: int) -> None:
        """Build for requests of which the last `window` items are read."""
        super().__init__(pairs, end, neighbours, proposed)
        self.shared = window

    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the last items, newest first, each once, `[batch, n]`."""
        return once_of_few(request.last(self.shared)[0])
