"""Training batches: windows of users' histories with all examples that fall into them.

One pass of the causal user tower over a window gives the state before each of its events, so a window of
100 events with 150 examples costs one pass, not 150. Windows overlap by a quarter and begin at a random phase
each epoch, so that each example sees between `history_length / 4` and `history_length` events, or all there
are (sliding-window training, arXiv 2409.14517).
"""

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np
import pandas as pd

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.windows import Windows, last_events
from unified_ranker.prepare.examples import Examples, Histories
from unified_ranker.prepare.prepared import Prepared

ANONYMOUS_PER_WINDOW = 64
"""Examples without a user that are kept together as if they had one."""
WindowBatch = dict[str, np.ndarray]


@dataclass(frozen=True)
class EventIndices:
    """Histories with names looked up, `[events]`; `gap` in seconds since the event before, 0 without one."""

    item: np.ndarray
    event_type: np.ndarray
    task: np.ndarray
    gap: np.ndarray
    value: np.ndarray

    def at(self, windows: Windows) -> WindowBatch:
        """Return `history_*` columns `[windows, width]`; blank are item -1 and 0 in the other columns."""
        out = {}
        for field in fields(self):
            blank = MISSING if field.name == "item" else 0
            out[f"history_{field.name}"] = windows.pad(getattr(self, field.name)[windows.rows], blank)
        # The model server sees nothing before the oldest event that it is given; nor must training.
        out["history_gap"][:, :1] = 0
        return out


@dataclass(frozen=True)
class ExampleIndices:
    """Examples looked up and with fields imputed, `[examples]`; `targets` and `decay` `[examples, k]`."""

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
    starts = histories.offsets[:-1]
    # A user at the end who has no events starts behind the last row.
    out[starts[starts < len(out)]] = 0
    return out


def last_event(examples: Examples, histories: Histories) -> np.ndarray:
    """Return the row in `histories` of each example's newest earlier event, `[examples]`; -1 without one."""
    rows = histories.offsets[examples.user] + examples.history_length - 1
    return np.where((examples.user == MISSING) | (examples.history_length == 0), MISSING, rows)


def next_targets(examples: Examples, k: int, decay: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the items of the user's next `k` examples of the same task, own first, and their weights.

    Both are `[examples, k]`; weights are exp(-rank / decay), and 0 with item -1 where there are fewer.
    Anonymous examples have their own item only, and so have those with a query or a source item: what the
    user chooses for the next query does not answer this one. Labels look ahead inside the slice that is
    passed in, and nowhere else.
    """
    items = np.full((len(examples), k), MISSING, np.int64)
    weights = np.zeros((len(examples), k), np.float32)
    task, _ = pd.factorize(examples.task)
    # A stable sort: examples of one user and task stay in order of time.
    order = np.lexsort((task, examples.user))
    user, kind, item = examples.user[order], task[order], examples.item[order]
    alone = (user == MISSING) | (examples.query != "")[order] | (examples.source_item != MISSING)[order]
    for rank in range(min(k, len(order))):
        stop = len(order) - rank
        same = (user[:stop] == user[rank:]) & (kind[:stop] == kind[rank:])
        if rank:
            same &= ~alone[:stop]
        items[order[:stop][same], rank] = item[rank:][same]
        weights[order[:stop][same], rank] = np.exp(-rank / decay)
    return items, weights


class WindowBatches:
    """Batches of windows, the same for the same (seed, epoch): a step can be made again after a fault.

    Args:
        prepared: the prepared log.
        examples: the slice of its examples to train on; at least one.
        events: its histories, looked up.
        looked_up: `examples`, looked up.
        config: the declarations.
    """

    def __init__(
        self,
        prepared: Prepared,
        examples: Examples,
        events: EventIndices,
        looked_up: ExampleIndices,
        config: Config,
    ) -> None:
        self.examples, self.events, self.looked_up = examples, events, looked_up
        self.offsets, self.users = prepared.histories.offsets, len(prepared.users)
        self.length = config.towers.user.history_length
        self.batch_examples = config.project.training.batch_examples
        self.seed, self.older = config.project.training_seed, config.project.training.older_windows
        # What a window is made of: a user, or a number of anonymous examples. Known users are 0 and more.
        anonymous = examples.user == MISSING
        serial = (np.cumsum(anonymous) - 1) // ANONYMOUS_PER_WINDOW
        self._owner = np.where(anonymous, -1 - serial, examples.user)
        self._owners = len(np.unique(self._owner))

    @property
    def steps(self) -> int:
        """Batches in every epoch: about `batch_examples` each, as many as there are windows at most."""
        return min(-(-len(self.examples) // self.batch_examples), self._owners)

    def epoch(self, number: int) -> Iterator[WindowBatch]:
        """Yield the batches of an epoch, `steps` of them, with every example of its windows in one of them.

        A batch has windows of up to `width` events, and the examples that fall into them:

        - `history_*` `[windows, width]`, see `EventIndices.at`;
        - `user` `[windows]`, the index behind the last user where anonymous;
        - `row`, the window of each, and `position`, how many of its events are earlier, both `[examples]`;
        - `item`, `timestamp` (seconds), `weight` `[examples]`, and the columns of `ExampleIndices`.
        """
        for rows, start in self._windows(number):
            yield self._batch(rows, start)

    def _windows(self, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return batches as (rows of examples, start of each row's window in its user's history)."""
        rng = np.random.default_rng([self.seed, epoch])
        stride = max(3 * self.length // 4, 1)
        phase = int(rng.integers(0, stride))
        # A user's windows begin at 0, stride - phase, 2 stride - phase, …; an example takes the first from
        # whose begin it is at most `length` events away.
        number = np.maximum(0, -(-(self.examples.history_length + phase - self.length) // stride))
        start = np.maximum(0, number * stride - phase)
        window = self._owner * (number.max(initial=0) + 1) + number
        _, of_window = np.unique(window, return_inverse=True)
        shuffled = rng.permutation(of_window.max() + 1)[of_window]
        rows = np.argsort(shuffled, kind="stable")
        if self.older < 1:
            rows = rows[~self._left_out(number, of_window, epoch)[rows]]
            shuffled = np.unique(shuffled[rows], return_inverse=True)[1]
        sizes = np.cumsum(np.bincount(shuffled))
        # A window stays whole, so batches hold about, not exactly, `batch_examples`.
        per_batch = np.array_split(sizes, self.steps)
        bounds = [int(part[-1]) for part in per_batch[:-1]]
        return [(part, start[part]) for part in np.split(rows, bounds)]

    def _left_out(self, number: np.ndarray, of_window: np.ndarray, epoch: int) -> np.ndarray:
        """Draw which examples an epoch leaves out, `[examples]`: whole windows, and no owner's last one.

        `number` `[examples]` counts the windows of an owner, `of_window` `[examples]` those of all.
        """
        _, owner = np.unique(self._owner, return_inverse=True)
        last = np.zeros(owner.max() + 1, np.int64)
        np.maximum.at(last, owner, number)
        drawn = np.random.default_rng([self.seed, epoch, 2]).random(of_window.max() + 1)[of_window]
        return (number < last[owner]) & (drawn >= self.older)

    def _batch(self, rows: np.ndarray, start: np.ndarray) -> WindowBatch:
        user = self.examples.user[rows]
        windows, row = np.unique(np.stack([user, start], 1), axis=0, return_inverse=True)
        row = row.reshape(-1)
        position = self.examples.history_length[rows] - start
        lengths = np.zeros(len(windows), np.int64)
        np.maximum.at(lengths, row, position)
        # Few different widths, so that the graph is traced few times.
        width = max(int(-(-lengths.max() // 16) * 16), 16)
        owner, first = windows.T
        # Nobody's windows are empty, so that it does not matter where they end.
        ends = self.offsets[owner] + first + lengths
        return {
            **self.events.at(last_events(ends, lengths, width=width)),
            "user": np.where(owner == MISSING, self.users, owner),
            "row": row,
            "position": position,
            "item": self.examples.item[rows],
            "timestamp": self.examples.timestamp[rows],
            "weight": self.examples.weight[rows],
            **vars(self.looked_up.take(rows)),
        }
