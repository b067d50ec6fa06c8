"""Signal `transitions`: items that come soon after those of the user's history."""

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
class Transitions(SignalKind):
    """Share of the candidate in what came within `reach` events after an item of the history, the nearer the more."""

    type: Literal["transitions"]
    reach: int = Field(5, ge=1)
    """Events after an item that count, each by one over its distance."""
    window: int = Field(100, ge=1)
    """Last events of the user that are read."""
    neighbours: int = Field(100, ge=1)
    """Likeliest successors that are kept for an item."""
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
        from unified_ranker.signals.history_pairs import strongest_of, transition_shares

        shares = transition_shares(inputs.prepared.histories, inputs.end, len(inputs.prepared.items), self.reach)
        return HistorySums(*strongest_of(shares, self.neighbours), self.window, self.candidates)
