"""Thread of the service that looks again and again, until it is stopped."""

import threading
from abc import ABC, abstractmethod
from typing import Self


class Repeating(ABC):
    """Thread that calls `look` each few seconds."""

    def __init__(self, name: str, seconds: float) -> None:
        """Name the thread; it waits `seconds` before each look."""
        self._seconds, self._end = seconds, threading.Event()
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
            self.look()
