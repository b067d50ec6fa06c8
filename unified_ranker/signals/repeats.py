"""Signal `repeats`: the user's own earlier items, and those that came next to the source item."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals import needs
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.towers.tensorflow import tf


@SIGNALS.declare
class Repeats(SignalKind):
    """Counts of the candidate among the user's last events, and among those next to the source item."""

    type: Literal["repeats"]
    window: int = Field(1000, ge=1)
    """Last events of the user that are read."""
    reach: int = Field(3, ge=1)
    """Number of events before and after each occurrence of the source item that count as next to it."""
    candidates: int = Field(20, ge=0)
    """Candidates that it proposes."""

    @property
    def events_read(self) -> int:
        """See `SignalKind.events_read`."""
        return self.window

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        return needs.users(log)

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        del inputs
        return RepeatSignal(self)


class RepeatSignal(Signal):
    """Counts over the user's own events, further back than the user tower reads.

    Where users buy the same items again, their own counts beat models of other users (TIFU-KNN: Hu et al., SIGIR 2020;
    Ariannezhad et al., SIGIR 2022, on repetition in baskets). Three channels: log1p of the candidate's events, log1p of
    its events next to the source item, and the share of these among all events next to it. Stock TensorFlow ops only.
    The events of a request are those before its time, in training and in serving.
    """

    channels = ("had", "beside the source", "share beside the source")

    def __init__(self, config: Repeats) -> None:
        """Build for the declared numbers of events."""
        self.config = config

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`; the events of a request are those before it."""
        del time
        events = request.recent[:, : self.config.window]
        beside = self.beside(request)
        had, near = occurrences(events, candidates), occurrences(beside, candidates)
        total = tf.reduce_sum(tf.cast(beside >= 0, tf.float32), 1, keepdims=True)
        return tf.stack([tf.math.log1p(had), tf.math.log1p(near), tf.math.divide_no_nan(near, total)], -1)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the items next to the source item, the newest first."""
        beside = self.beside(request)
        # Padded by as many blanks as there are proposals, so that there are enough to choose from.
        count = self.config.candidates
        beside = tf.pad(beside, [[0, 0], [0, count]], constant_values=MISSING)
        order = tf.argsort(tf.cast(beside < 0, tf.int32), axis=1, stable=True)[:, :count]
        return tf.ensure_shape(tf.gather(beside, order, batch_dims=1), [None, count])

    def beside(self, request: SignalRequest) -> tf.Tensor:
        """Return the user's events within `reach` of one of the source item `[batch, events]`; -1 elsewhere."""
        events = request.recent[:, : self.config.window]
        source = request.source_item[:, None]
        here = (events == source) & (source >= 0)
        reach, width = self.config.reach, tf.shape(events)[1]
        padded = tf.pad(here, [[0, 0], [reach, reach]])
        near = tf.reduce_any(tf.stack([padded[:, n : n + width] for n in range(2 * reach + 1)], -1), -1)
        return tf.where(near & ~here, events, tf.constant(MISSING, tf.int64))


def occurrences(items: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
    """Count `candidates` `[batch, n]` in `items` `[batch, m]`, float32; 0 for -1.

    By binary search in the sorted items, because comparing all pairs would cost n · m.
    """
    ordered = tf.sort(items, axis=1)
    ends = tf.searchsorted(ordered, candidates, side="right", out_type=tf.int32)
    begins = tf.searchsorted(ordered, candidates, side="left", out_type=tf.int32)
    return tf.where(candidates < 0, 0.0, tf.cast(ends - begins, tf.float32))
