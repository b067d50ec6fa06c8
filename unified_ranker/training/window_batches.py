"""Training batches: windows of users' histories with all examples that fall into them.

One pass of the causal user tower over a window gives the state before each of its events, so a window of 100 events
with 150 examples costs one pass, not 150. Windows overlap by a quarter and begin at a random offset in each epoch, so
that an example has between `history_length / 4` and `history_length` events, or all of them if there are fewer
(sliding-window training, arXiv 2409.14517). They begin with a whole second: one that a window would divide is left out,
as in serving (`whole_seconds`).
"""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.windows import last_events
from unified_ranker.model.inputs import TrainingBatch, TrainingExamples
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.history import HistoryEvents, HistoryWindows

ANONYMOUS_PER_WINDOW = 64
"""Number of examples without a user that form one window."""


class WindowBatches:
    """Batches of windows, the same for the same (seed, epoch), so that a batch can be made again.

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
        events: HistoryEvents,
        looked_up: TrainingExamples,
        config: Config,
    ) -> None:
        self.examples, self.events, self.looked_up = examples, events, looked_up
        self.offsets, self.users = prepared.histories.offsets, len(prepared.users)
        self.length = config.towers.user.history_length
        self.batch_examples = config.project.training.batch_examples
        self.seed, self.older = config.project.training_seed, config.project.training.older_windows
        # Owner of a window: a user (0 and more), or a group of anonymous examples (below 0).
        anonymous = examples.user == MISSING
        serial = (np.cumsum(anonymous) - 1) // ANONYMOUS_PER_WINDOW
        self._owner = np.where(anonymous, -1 - serial, examples.user)
        self._owners = len(np.unique(self._owner))
        first = np.diff(prepared.histories.user, prepend=-1) != 0
        self._begins = np.flatnonzero((events.gap != 0) | first)

    @property
    def steps(self) -> int:
        """Number of batches in an epoch, with about `batch_examples` each; at most one for each owner."""
        return min(-(-len(self.examples) // self.batch_examples), self._owners)

    def epoch(self, number: int) -> Iterator[TrainingBatch]:
        """Yield the batches of an epoch, `steps` of them in NumPy columns, with every example in one of them."""
        for rows, start in self._windows(number):
            yield self._batch(rows, start)

    def _windows(self, epoch: int) -> list[tuple[np.ndarray, np.ndarray]]:
        """Return batches as (rows of examples, start of each row's window in its user's history)."""
        rng = np.random.default_rng([self.seed, epoch])
        stride = max(3 * self.length // 4, 1)
        phase = int(rng.integers(0, stride))
        # A user's windows begin at 0, stride - phase, 2 stride - phase, …; an example is in the first one that
        # begins at most `length` events before it.
        number = np.maximum(0, -(-(self.examples.history_length + phase - self.length) // stride))
        start = self._whole(np.maximum(0, number * stride - phase))
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

    def _whole(self, start: np.ndarray) -> np.ndarray:
        """Return the first begins of a second from `start` on, of windows in the histories of users, `[examples]`.

        A second with more events than a window has room for may be divided.
        """
        begin = self.offsets[np.maximum(self.examples.user, 0)]
        begins = np.append(self._begins, self.offsets[-1])
        number = np.searchsorted(self._begins, begin + start)
        # Of a row that begins no second, the second is the one that begins before.
        larger = begins[number] - begins[np.maximum(number - 1, 0)] > self.length
        return np.where((start == 0) | larger, start, begins[number] - begin)

    def _left_out(self, number: np.ndarray, of_window: np.ndarray, epoch: int) -> np.ndarray:
        """Draw the examples that an epoch leaves out, `[examples]`: whole windows, never an owner's last one.

        `number` `[examples]` numbers the windows of an owner, `of_window` `[examples]` those of all owners.
        """
        _, owner = np.unique(self._owner, return_inverse=True)
        last = np.zeros(owner.max() + 1, np.int64)
        np.maximum.at(last, owner, number)
        drawn = np.random.default_rng([self.seed, epoch, 2]).random(of_window.max() + 1)[of_window]
        return (number < last[owner]) & (drawn >= self.older)

    def _batch(self, rows: np.ndarray, start: np.ndarray) -> TrainingBatch:
        user = self.examples.user[rows]
        windows, row = np.unique(np.stack([user, start], 1), axis=0, return_inverse=True)
        row = row.reshape(-1)
        position = self.examples.history_length[rows] - start
        lengths = np.zeros(len(windows), np.int64)
        np.maximum.at(lengths, row, position)
        # Multiples of 16, so that the graph is traced for few different widths.
        width = max(int(-(-lengths.max() // 16) * 16), 16)
        owner, first = windows.T
        # Windows of anonymous examples are empty, so that any end is right.
        ends = self.offsets[owner] + first + lengths
        examples = self.looked_up.take(rows)
        return TrainingBatch(
            HistoryWindows(
                user=np.where(owner == MISSING, self.users, owner),
                events=self.events.in_windows(last_events(ends, lengths, width=width)),
            ),
            row,
            replace(examples, request=replace(examples.request, position=position)),
        )
