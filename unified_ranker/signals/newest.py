"""Signal `newest`: the items by their age at the request."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.core.times import HOUR, NEVER
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf


@SIGNALS.declare
class Newest(SignalKind):
    """Age of the candidate at the request; it proposes the newest items."""

    type: Literal["newest"]
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        dated = bool(log.items["created_at"].notna().any())
        return Need("items have creation times", dated, "no item has a `created_at`")

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return NewestSignal(inputs.prepared.created_at, self.candidates)


class NewestSignal(TableSignal):
    """One channel: minus log1p of the age in hours, so that the newest is the highest; an undated item is the oldest.

    An unknown item has 0, the value of one that is created at the request: it came since the release was written.
    """

    channels = ("newness",)
    learnt = False

    def __init__(self, created_at: np.ndarray, proposed: int) -> None:
        """Keep the creation times `[items]`, seconds; `NEVER` of an undated item."""
        super().__init__()
        order = np.argsort(created_at, kind="stable")
        dated = created_at[created_at > NEVER]
        self.order = self.table("order", order)
        self.ordered = self.table("ordered", created_at[order])
        self.created = self.table("created", np.append(created_at, np.iinfo(np.int64).max))
        self.oldest = tf.constant(int(dated.min()) if len(dated) else 0, tf.int64)
        self._proposed = proposed

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        rows = known_rows(self.created, candidates)
        created = tf.maximum(tf.gather(self.created, rows), self.oldest)
        age = tf.maximum(request.timestamp[:, None] - created, 0)
        age = tf.where(candidates < 0, tf.zeros_like(age), age)
        return -tf.math.log1p(tf.cast(age, tf.float32) / HOUR)[..., None]

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the last that were created before the request."""
        # Read once, as in `rows_of`.
        ordered = tf.convert_to_tensor(self.ordered)
        end = tf.searchsorted(ordered, request.timestamp, side="left", out_type=tf.int64)
        position = end[:, None] - tf.range(1, self._proposed + 1, dtype=tf.int64)[None]
        there = tf.maximum(position, 0)
        dated = (position >= 0) & (tf.gather(ordered, there) > NEVER)
        newest = tf.where(dated, tf.gather(self.order, there), tf.constant(MISSING, tf.int64))
        return tf.ensure_shape(newest, [None, self._proposed])
