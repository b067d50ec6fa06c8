"""Directory of prepared data, read in parts: for stages whose memory must not grow with the log."""

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa

from unified_ranker.core.arrays import MISSING, Ints, Strings
from unified_ranker.engines.shards import read_parts
from unified_ranker.prepare.examples import Histories
from unified_ranker.prepare.prepared import ITEMS_FILE, NAMES_FILE, USERS_FILE, EventNames, to_histories
from unified_ranker.prepare.stage_names import SECOND


@dataclass(frozen=True)
class HistoryFile:
    """File of histories: rows by (user, time), from the `first` to the `last` user."""

    file: Path
    first: int
    last: int


@dataclass(frozen=True)
class PreparedFolder:
    """Prepared data that stay on disk; see `Prepared` for what they are."""

    directory: Path

    def items(self) -> pa.Table:
        """Return the items by index, memory-mapped."""
        return read_parts(self.directory / ITEMS_FILE)

    def users(self) -> pa.Table:
        """Return the users by index, memory-mapped."""
        return read_parts(self.directory / USERS_FILE)

    def event_names(self) -> EventNames:
        """Return the names of tasks and of event types."""
        names = json.loads((self.directory / NAMES_FILE).read_text(encoding="utf-8"))
        return names["tasks"], names["event_types"]

    def ids_of(self, items: Ints) -> Strings:
        """Return the ids of items by their indices `[n]`, "" for `MISSING`; only those are read."""
        known, inverse = np.unique(items, return_inverse=True)
        names = self.items()["item_id"].take(pa.array(np.maximum(known, 0))).to_numpy().astype(object)
        return np.where(known == MISSING, "", names)[inverse]

    def history_files(self) -> tuple[HistoryFile, ...]:
        """Return the files of histories that hold events."""
        found = []
        for file in sorted((self.directory / "histories").glob("*.arrow")):
            users = read_parts(file)["user"]
            if len(users):
                found.append(HistoryFile(file, users[0].as_py(), users[-1].as_py()))
        return tuple(found)

    def histories(self, files: tuple[HistoryFile, ...], start: int, end: int, before: int) -> Histories:
        """Return the events before a time (seconds) of the users `start` to `end` (exclusive), numbered from 0.

        Args:
            files: of `history_files`; only those with such users are read.
            start: index of the first user.
            end: index behind the last user.
            before: later events are left out.
        """
        parts = []
        for file in files:
            if file.last < start or file.first >= end:
                continue
            table = read_parts(file.file)
            low, high = np.searchsorted(table["user"].to_numpy(), [start, end])
            part = table.slice(low, high - low)
            parts.append(part.filter(pa.array(part["time"].to_numpy() < before * SECOND)))
        if not parts:
            nothing = np.zeros(0, object)
            counts = np.zeros(end - start + 1, np.int64)
            return Histories(counts, counts[:0], nothing, nothing, counts[:0], np.zeros(0, np.float32))
        return to_histories(pa.concat_tables(parts).combine_chunks(), self.event_names(), end - start, start)

    def queries(self, task: str) -> Counter[str]:
        """Count the queries of the examples of a task."""
        tasks, _ = self.event_names()
        counts: Counter[str] = Counter()
        if task in tasks:
            for chosen in self._examples_of(tasks.index(task)):
                found = chosen["query"].cast(pa.string()).drop_null().combine_chunks().value_counts()
                counts.update({row["values"]: row["counts"] for row in found.to_pylist() if row["values"]})
        return counts

    def _examples_of(self, task: int) -> Iterator[pa.Table]:
        for file in sorted((self.directory / "examples").glob("*.arrow")):
            table = read_parts(file).select(["task", "query"])
            yield table.filter(pa.array(table["task"].to_numpy() == task))
