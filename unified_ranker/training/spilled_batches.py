"""Training windows from Arrow shards on disk, for logs whose looked-up examples are too many to keep in memory.

Shards hold whole users: their examples and their histories, looked up once. An epoch reads the shards in random order
and shuffles the windows within each, so that only one shard is in memory.
"""

from collections.abc import Iterator
from dataclasses import fields, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Arrays, Ints
from unified_ranker.engines.shards import read_parts, write_parts
from unified_ranker.model.inputs import TrainingBatch, TrainingExamples
from unified_ranker.prepare.examples import Examples, Histories
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.history import HistoryEvents
from unified_ranker.training.window_batches import WindowBatches

_COLUMNS_KEPT = ("user", "history_length")
"""Columns of the examples that cutting windows needs; batches have the looked-up columns besides."""


class SpilledBatches:
    """Batches of windows like `WindowBatches`, read back from shards; the same for the same (seed, epoch).

    Args:
        whole: all batches, in memory; they are written to shards and can be dropped.
        prepared: the prepared log.
        config: the declarations.
        directory: directory of the shards; made if absent, overwritten.
        shard_examples: approximate number of examples in a shard; a user's examples stay together.
    """

    def __init__(
        self,
        whole: WindowBatches,
        prepared: Prepared,
        config: Config,
        directory: Path,
        shard_examples: int,
    ) -> None:
        """Write the shards."""
        self._config, self._directory, self.seed = config, Path(directory), config.project.seed
        self._prepared = replace(prepared, examples=prepared.examples.take(np.zeros(0, np.int64)))
        self._users = cut_users(whole.examples, len(prepared.users), shard_examples)
        self._directory.mkdir(parents=True, exist_ok=True)
        order = np.argsort(whole.examples.user, kind="stable")
        user = whole.examples.user[order]
        for number, (first, last) in enumerate(self._users):
            rows = np.sort(order[np.searchsorted(user, first) : np.searchsorted(user, last)])
            _write(self._file_of(number, "examples"), whole.examples.take(rows), whole.looked_up.take(rows))
            events = slice(int(whole.offsets[max(first, 0)]), int(whole.offsets[max(last, 0)]))
            columns = whole.events.take(events).by_name()
            write_parts(self._file_of(number, "events"), [pa.table({n: pa.array(c) for n, c in columns.items()})])
        self._offsets = whole.offsets
        self._steps = [self._shard(number).steps for number in range(len(self._users))]

    @property
    def steps(self) -> int:
        """Batches in every epoch."""
        return sum(self._steps)

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch, as `WindowBatches.epoch` does."""
        order = np.random.default_rng([self.seed, number, 1]).permutation(len(self._users))
        for shard in order.tolist():
            yield from self._shard(shard).epoch(number)

    def _file_of(self, number: int, table: str) -> Path:
        return self._directory / f"{number:05d}-{table}.arrow"

    def _shard(self, number: int) -> WindowBatches:
        first, last = self._users[number]
        columns = _arrays(read_parts(self._file_of(number, "examples")))
        blank: Any = np.zeros(len(columns["user"]), np.int64)
        examples = Examples(**{f.name: columns[f.name] if f.name in _COLUMNS_KEPT else blank for f in fields(Examples)})
        looked_up = TrainingExamples.of_names(columns)
        events = HistoryEvents.of_names(_arrays(read_parts(self._file_of(number, "events"))))
        low, high = self._offsets[max(first, 0)], self._offsets[max(last, 0)]
        offsets = np.clip(self._offsets, low, high) - low
        none = np.zeros(0, np.int64)
        histories = Histories(offsets, none, none.astype(object), none.astype(object), none, none.astype(np.float32))
        return WindowBatches(replace(self._prepared, histories=histories), examples, events, looked_up, self._config)


def cut_users(examples: Examples, users: int, shard_examples: int) -> list[tuple[int, int]]:
    """Return ranges of users (first, last + 1) with about `shard_examples` examples; anonymous ones come first."""
    counts = np.bincount(examples.user + 1, minlength=users + 1)
    sums = np.cumsum(counts)
    cuts: list[int] = [MISSING]
    while cuts[-1] < users:
        done = int(sums[cuts[-1]]) if cuts[-1] >= 0 else 0
        nxt = int(np.searchsorted(sums, done + shard_examples, side="left"))
        cuts.append(min(max(nxt, cuts[-1] + 1), users))
    return [(a, b) for a, b in pairwise(cuts) if counts[a + 1 : b + 1].sum()]


def _write(file: Path, examples: Examples, looked_up: TrainingExamples) -> None:
    columns = {name: getattr(examples, name) for name in _COLUMNS_KEPT} | looked_up.by_name()
    write_parts(file, [pa.table({name: _column(column) for name, column in columns.items()})])


def _column(values: Ints | np.ndarray) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), values.shape[1])


def _arrays(table: pa.Table) -> Arrays:
    return {name: _array(table[name]) for name in table.column_names}


def _array(column: pa.ChunkedArray) -> np.ndarray:
    whole = column.combine_chunks()
    if pa.types.is_fixed_size_list(whole.type):
        return whole.flatten().to_numpy(zero_copy_only=False).reshape(len(whole), -1)
    return whole.to_numpy(zero_copy_only=False)
