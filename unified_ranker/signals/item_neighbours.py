"""Signal `neighbours`: items that the same users engaged with, over the whole history."""

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
class Neighbours(SignalKind):
    """Cosines between the candidate and the items of the user's history (item-kNN), by the users who had both."""

    type: Literal["neighbours"]
    window: int = Field(100, ge=1)
    """Last events of the user that are read."""
    neighbours: int = Field(100, ge=1)
    """Nearest neighbours that are kept for an item."""
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
        from unified_ranker.signals.history_pairs import cosines, items_of_users, strongest_of

        had = items_of_users(inputs.prepared.histories, inputs.end, len(inputs.prepared.items))
        pairs = strongest_of(cosines(had, self.neighbours), self.neighbours)
        return HistorySums(*pairs, self.window, self.candidates)
