"""Training batches: windows of users' histories with all examples that fall into them.

One pass of the causal user tower over a window gives the state before each of its events, so a window of 100 events
with 150 examples costs one pass, not 150. Windows overlap by a quarter and begin at a random phase each epoch, so that
each example sees between `history_length / 4` and `history_length` events, or all there are (sliding-window training,
arXiv 2409.14517).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from unified_ranker.config import Config
from unified_ranker.data.examples import MISSING, Examples, Histories
from unified_ranker.data.prepared import Prepared

ANONYMOUS_PER_WINDOW = 64
Batch = dict[str, np.ndarray]


@dataclass(frozen=True)
class EventIndices:
    """Histories with names looked up: columns `[events]`; gaps in seconds since the user's event before, 0 if none."""

    item: np.ndarray
    event_type: np.ndarray
    task: np.ndarray
    gap: np.ndarray
    value: np.ndarray

    def at(self, rows: np.ndarray, inside: np.ndarray) -> Batch:
        """Return the events at `rows` `[n, width]` as batch columns, blank where not `inside` `[n, width]`."""
        blank = {"item": MISSING}
        out = {}
        for field in fields(self):
            column = getattr(self, field.name)
            fill = np.asarray(blank.get(field.name, 0), column.dtype)
            picked = column[rows] if len(column) else np.full(rows.shape, fill)
            out[f"history_{field.name}"] = np.where(inside, picked, fill)
        return out


@dataclass(frozen=True)
class ExampleIndices:
    """Examples with names looked up and fields imputed: columns `[examples]`, `targets` and `decay` `[examples, k]`."""

    task: np.ndarray
    query: np.ndarray
    source: np.ndarray
    country: np.ndarray
    previous_task: np.ndarray
    gap: np.ndarray
    head: np.ndarray
    targets: np.ndarray
    decay: np.ndarray

    def take(self, rows: np.ndarray) -> "ExampleIndices":
        """Return the examples at `rows`."""
        return ExampleIndices(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def gaps(histories: Histories) -> np.ndarray:
    """Return seconds since the event before of the same user, `[events]`; 0 for a user's first."""
    out = np.diff(histories.timestamp, prepend=histories.timestamp[:1])
    out[histories.offsets[:-1][histories.offsets[:-1] < len(out)]] = 0
    return out


def last_event(examples: Examples, histories: Histories) -> np.ndarray:
    """Return the row in `histories` of each example's newest earlier event, `[examples]`; -1 without one."""
    rows = histories.offsets[examples.user] + examples.history_length - 1
    return np.where((examples.user == MISSING) | (examples.history_length == 0), MISSING, rows)


def next_targets(examples: Examples, k: int, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the items of the user's next `k` examples of the same task, own first, and their weights.

    Both are `[examples, k]`; weights are exp(-rank / decay), and 0 with item -1 where there are fewer. Anonymous
    examples have their own item only. Labels look ahead inside the slice that is passed in, and nowhere else.
    """
    items = np.full((len(examples), k), MISSING, np.int64)
    weights = np.zeros((len(examples), k), np.float32)
    _, task = np.unique(examples.task, return_inverse=True)
    order = np.lexsort((np.arange(len(examples)), task, examples.user))
    user, kind = examples.user[order], task[order]
    for rank in range(k):
        ahead = np.minimum(np.arange(len(order)) + rank, len(order) - 1)
        same = (user[ahead] == user) & (kind[ahead] == kind) & (np.arange(len(order)) + rank < len(order))
        same &= (user != MISSING) | (rank == 0)
        items[order[same], rank] = examples.item[order[ahead[same]]]
        weights[order[same], rank] = np.exp(-rank / decay)
    return items, weights


class WindowBatches:
    """Deterministic batches per (seed, epoch), so that a step can be made again after a fault or a restart."""

    def __init__(
        self,
        prepared: Prepared,
        examples: Examples,
        events: EventIndices,
        looked_up: ExampleIndices,
        config: Config,
    ) -> None:
        """Index `examples` (the slice to train on) over the histories of `prepared`."""
        self.examples, self.events, self.looked_up = examples, events, looked_up
        self.offsets, self.users = prepared.histories.offsets, len(prepared.users)
        self.length = config.towers.user.history_length
        self.batch_examples, self.seed = config.project.training.batch_examples, config.project.seed

    @property
    def steps(self) -> int:
        """Batches in every epoch."""
        wanted = -(-len(self.examples) // self.batch_examples)
        return min(wanted, len(np.unique(self.examples.user)))

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the batches of an epoch, `steps` of them."""
        for rows, start in self._windows(np.random.default_rng([self.seed, number])):
            yield self._batch(rows, start)

    def _windows(self, rng: np.random.Generator) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return batches as (rows of examples, start of each row's window in its user's history)."""
        stride = max(3 * self.length // 4, 1)
        phase = int(rng.integers(0, stride)) if stride > 1 else 0
        position = self.examples.history_length
        number = np.maximum(0, -(-(position + phase - self.length) // stride))
        start = np.maximum(0, number * stride - phase)
        anonymous = self.examples.user == MISSING
        serial = np.cumsum(anonymous) // ANONYMOUS_PER_WINDOW
        window = np.stack([np.where(anonymous, -1 - serial, self.examples.user), number], 1)
        _, of_window = np.unique(window, axis=0, return_inverse=True)
        of_window = of_window.reshape(-1)
        shuffled = rng.permutation(of_window.max() + 1)[of_window]
        rows = np.argsort(shuffled, kind="stable")
        sizes = np.cumsum(np.bincount(shuffled))
        # A window stays whole, so batches hold about, not exactly, `batch_examples`.
        per_batch = np.array_split(sizes, self.steps)
        bounds = [int(part[-1]) for part in per_batch[:-1]]
        return [(part, start[part]) for part in np.split(rows, bounds)]

    def _batch(self, rows: np.ndarray, start: np.ndarray) -> Batch:
        user = self.examples.user[rows]
        windows, row = np.unique(np.stack([user, start], 1), axis=0, return_inverse=True)
        row = row.reshape(-1)
        position = self.examples.history_length[rows] - start
        lengths = np.zeros(len(windows), np.int64)
        np.maximum.at(lengths, row, position)
        width = max(int(-(-lengths.max(initial=1) // 16) * 16), 16)
        column = np.arange(width)[None]
        inside = column < lengths[:, None]
        at = np.where(inside, self.offsets[windows[:, 0]][:, None] + windows[:, 1][:, None] + column, 0)
        return {
            **self.events.at(at, inside),
            "user": np.where(windows[:, 0] == MISSING, self.users, windows[:, 0]),
            "row": row,
            "position": position,
            "item": self.examples.item[rows],
            "timestamp": self.examples.timestamp[rows],
            "weight": self.examples.weight[rows],
            **vars(self.looked_up.take(rows)),
        }
