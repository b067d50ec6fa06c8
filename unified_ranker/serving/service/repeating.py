"""Thread of the service that looks again and again, until it is stopped."""

import logging
import threading
from abc import ABC, abstractmethod
from typing import Self

from unified_ranker.serving.service.service_metrics import ServiceMetrics

logger = logging.getLogger(__name__)


class Repeating(ABC):
    """Thread that calls `look` each few seconds. A look that fails is counted, and the next one follows all the same.

    Args:
        name: of the thread, and of the stage under which its errors are counted.
        seconds: to wait before each look.
        metrics: counts the errors.
    """

    def __init__(self, name: str, seconds: float, metrics: ServiceMetrics) -> None:
        self._seconds, self._metrics, self._end = seconds, metrics, threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    @abstractmethod
    def look(self) -> None:
        """Do once what the thread is for."""

    def start(self) -> Self:
        """Start the thread."""
        self._thread.start()
        return self

    def stop(self) -> None:
        """Stop the thread; a running look is not waited for."""
        self._end.set()

    def _run(self) -> None:
        while not self._end.wait(self._seconds):
            try:
                self.look()
            except Exception as error:
                # The thread must outlive any fault: without it indices are not measured, and popularity stands still.
                self._metrics.error(self._thread.name, type(error).__name__)
                logger.exception("%s: a look failed; the next one is in %g s", self._thread.name, self._seconds)
