"""Base of the declarations of signals that read the user's last events."""

from __future__ import annotations

from abc import ABC

from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SignalKind


class HistoryKind(SignalKind, ABC):
    """Declaration of a signal that reads `window` last events of the user, and so needs events that have one."""

    window: int = Field(ge=1)
    """Last events of the user that are read."""

    @property
    def events_read(self) -> int:
        """See `SignalKind.events_read`."""
        return self.window

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        return Need("events have users", bool(log.events["user_id"].notna().any()), "every event is anonymous")
