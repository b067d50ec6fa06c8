"""Histories after look-up, the input of the user tower."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.windows import Windows
from unified_ranker.towers.columns import Column, Columns
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class HistoryEvents(Columns):
    """Events of histories, oldest first: each column `[windows, events]`, or `[events]` of all histories in one table.

    Attributes:
        item: index of the item; -1 for an unknown item or padding.
        event_type: index of the event type, 0 where unknown.
        task: index of the task, 0 where unknown.
        gap: seconds since the event before, 0 without one; -1 for padding. So a new second begins where it is not 0.
        value: graded strength, 0 where absent.
    """

    item: Column
    event_type: Column
    task: Column
    gap: Column
    value: Column

    def in_windows(self, windows: Windows) -> HistoryEvents:
        """Return the events of one table in padded windows, NumPy columns `[windows, width]`."""
        blanks = {"item": MISSING, "gap": MISSING}
        out = HistoryEvents(*(windows.pad(c[windows.rows], blanks.get(n, 0)) for n, c in vars(self).items()))
        # The served model does not know the gap before the oldest event of a request, so training must not.
        out.gap[:, :1] = np.where(windows.inside[:, :1], 0, MISSING)
        return out


@dataclass(frozen=True, eq=False)
class HistoryWindows(Columns):
    """Windows of histories, padded at the end.

    Attributes:
        user: index of the user of each window, `[windows]`; the number of users for an unknown user.
        events: `[windows, events]`.
    """

    user: Column
    events: HistoryEvents

    def cut(self, width: tf.Tensor) -> HistoryWindows:
        """Return the windows with their first `width` events."""
        return HistoryWindows(self.user, tf.nest.map_structure(lambda column: column[:, :width], self.events))

    @classmethod
    def spec(cls) -> HistoryWindows:
        """Return the types of windows of any number and width."""
        index, value = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None, None], tf.float32)
        return cls(tf.TensorSpec([None], tf.int64), HistoryEvents(index, index, index, index, value))
