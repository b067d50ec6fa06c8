"""Metrics of a refresher, as a file for the textfile collector of Prometheus' node exporter."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry, Counter, Gauge, write_to_textfile

from unified_ranker.core.errors import UserError
from unified_ranker.vectors.refresher import Refreshed

_PREFIX = "unified_ranker_refresh_"
_COUNTED = {
    "events": "Events that were processed",
    "users": "Users whose vectors were written",
    "items": "Items whose vectors were written",
    "quarantined": "Events, users and items that were quarantined",
}


class RefreshMetrics:
    """Metrics file, which is written whole after each step.

    Args:
        file: to write; its name must end in `.prom`, or the collector does not read it.
        clock: returns the present, in seconds since 1970.

    Raises:
        UserError: the file has another ending, or its directory does not exist.
    """

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        if file.suffix != ".prom" or not file.parent.is_dir():
            raise UserError(
                f"`--metrics-file` must end in .prom and lie in a directory that exists. Received: `{file}`. Name a "
                "file in the directory of the node exporter's `--collector.textfile.directory`."
            )
        self._file, self._clock, self.registry = file, clock, CollectorRegistry()
        self._version = self._make(Gauge, "version", "Version of the store that is refreshed")
        self._behind = self._make(Gauge, "behind_seconds", "Age of the oldest event of the last step; 0: none was new")
        self._last = self._make(Gauge, "last_step_seconds", "Time of the last step, seconds since 1970")
        self._counts = {kind: self._make(Counter, kind, text) for kind, text in _COUNTED.items()}

    def note(self, done: Refreshed) -> None:
        """Count a step, and write the file."""
        self._version.set(done.version)
        self._behind.set(done.delay)
        self._last.set(self._clock())
        for kind, counter in self._counts.items():
            counter.inc(getattr(done, kind))
        write_to_textfile(str(self._file), self.registry)

    def _make(self, kind: Callable[..., Any], name: str, text: str) -> Any:
        return kind(_PREFIX + name, text, registry=self.registry)
