"""Signal `ease`: a linear item-to-item model of who had what, over the whole history."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals import needs
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind
from unified_ranker.signals.history_sums import HistorySums


@SIGNALS.declare
class EaseSums(SignalKind):
    """Weights of the candidate for the items of the user's history in EASE, which explains popularity away."""

    type: Literal["ease"]
    regularisation: float = Field(500.0, gt=0)
    """Ridge penalty."""
    most_items: int = Field(5000, ge=1)
    """Items with most positives that it covers: its time grows with the cube of this number (5 s for 5,000)."""
    window: int = Field(100, ge=1)
    """Last events of the user that are read."""
    neighbours: int = Field(100, ge=1)
    """Largest weights that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    @property
    def events_read(self) -> int:
        """See `SignalKind.events_read`."""
        return self.window

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        return needs.users(log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        from unified_ranker.signals.history_pairs import ease_pairs, strongest_of

        prepared = inputs.prepared
        past, shape = prepared.between(None, inputs.end), (len(prepared.users), len(prepared.items))
        pairs = ease_pairs(past, *shape, self.regularisation, self.most_items)
        return HistorySums(*strongest_of(pairs, self.neighbours), self.window, self.candidates)
