"""Circuit breaker: after repeated failures of the model server, requests do not wait for it."""

import threading
import time
from collections.abc import Callable


class Breaker:
    """Lets calls through until `failures` in a row have failed; then, for `seconds`, none, and after that one to probe.

    Args:
        failures: in a row, that open it.
        seconds: for which it stays open.
        clock: returns monotonic seconds.
    """

    def __init__(self, failures: int = 5, seconds: float = 1.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._most, self._seconds, self._clock = failures, seconds, clock
        self._failures = 0
        self._open_until = 0.0
        self._lock = threading.Lock()

    def allows(self) -> bool:
        """Tell whether a call may be made; its caller must report the outcome."""
        if self._failures < self._most:
            return True
        with self._lock:
            if self._clock() < self._open_until:
                return False
            self._open_until = self._clock() + self._seconds  # other calls are refused until this one has its result
            return True

    def succeeded(self) -> None:
        """Report a successful call."""
        if self._failures:
            with self._lock:
                self._failures = 0

    def failed(self) -> None:
        """Report a failed call."""
        with self._lock:
            self._failures += 1
            if self._failures >= self._most:
                self._open_until = self._clock() + self._seconds
