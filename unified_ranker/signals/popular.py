"""Signal `popular`: the items by the positives of the request's task."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import MISSING
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.tensorflow import tf


@SIGNALS.declare
class Popular(SignalKind):
    """Positives of the candidate on the request's task; it proposes those with the most."""

    type: Literal["popular"]
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        prepared = inputs.prepared
        past = prepared.between(None, inputs.end)
        items = len(prepared.items)
        there = past.item != MISSING
        counts = [np.bincount(past.item[there & (past.task == task)], minlength=items) for task in inputs.tasks]
        everywhere = np.bincount(past.item[there], minlength=items)
        return PopularSignal(np.stack([everywhere, *counts]), self.candidates)


class PopularSignal(TableSignal):
    """One channel: log1p of the positives on the task before the end of the fit window."""

    channels = ("positives of the task",)
    learnt = False

    def __init__(self, counts: np.ndarray, proposed: int) -> None:
        """Keep counts `[tasks + 1, items]`; row 0, the unknown task, has the counts of all tasks."""
        super().__init__()
        # One row after the other, each with a last item for unknown ones.
        popularity = np.pad(np.log1p(counts), [(0, 0), (0, 1)]).astype(np.float32)
        self._width = popularity.shape[1]
        self.popularity = self.table("popularity", popularity.reshape(-1))
        best = np.argsort(-counts, axis=1, kind="stable")[:, :proposed]
        best = np.where(np.take_along_axis(counts, best, 1) > 0, best, MISSING)
        best = np.pad(best, [(0, 0), (0, proposed - best.shape[1])], constant_values=MISSING)
        self.best = self.table("best", best.astype(np.int64))

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        column = tf.where(candidates < 0, tf.constant(self._width - 1, candidates.dtype), candidates)
        return tf.gather(self.popularity, request.task[:, None] * self._width + column)[..., None]

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the most popular on the task."""
        return tf.gather(self.best, request.task)
