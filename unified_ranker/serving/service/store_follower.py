"""Store follower: brings about what other replicas have changed in the store."""

import logging
from collections.abc import Callable

from unified_ranker.events.base import StoreError
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.service.repeating import Repeating
from unified_ranker.serving.service.service_metrics import ServiceMetrics

FOLLOW_SECONDS = 0.25
"""Seconds between two looks: a change is everywhere within a second."""

logger = logging.getLogger(__name__)


class StoreFollower(Repeating):
    """Thread that follows one kind of change.

    Args:
        kind: of change, which names the thread and its errors.
        follow: brings about what has come.
        metrics: counts the errors.
        seconds: between two looks.
    """

    def __init__(
        self, kind: str, follow: Callable[[], None], metrics: ServiceMetrics, seconds: float = FOLLOW_SECONDS
    ) -> None:
        super().__init__(f"{kind}-follower", seconds, metrics)
        self._kind, self._follow, self._fault = kind, follow, ""

    def look(self) -> None:
        """Follow once; the next look goes on where the store or the model fails."""
        try:
            self._follow()
        except (StoreError, ModelBackendError) as error:
            self._metrics.error(self._kind, "store" if isinstance(error, StoreError) else error.reason)
            # Said once, because looks are frequent.
            if str(error) != self._fault:
                logger.warning("changes of %s by other replicas wait: %s", self._kind, error)
            self._fault = str(error)
        else:
            self._fault = ""
