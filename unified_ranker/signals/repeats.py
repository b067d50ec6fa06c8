"""Signal `repeats`: the user's own earlier items, and those that came next to the source item."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from unified_ranker.core.arrays import MISSING
from unified_ranker.core.times import HOUR
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalRequest
from unified_ranker.signals.first_occurrences import FirstOccurrences
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.later_events import later_events, not_earlier_events
from unified_ranker.signals.partner_table import strongest, sums_of
from unified_ranker.signals.proposals import merged
from unified_ranker.towers.tensorflow import tf


@SIGNALS.declare
class Repeats(HistoryKind):
    """Counts and recency of the candidate among the user's last events, and counts next to the source item."""

    type: Literal["repeats"]
    window: int = Field(1000, ge=1)
    """Last events of the user that are read."""
    reach: int = Field(3, ge=1)
    """Number of events before and after each occurrence of the source item that count as next to it."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return RepeatSignal(self, len(inputs.prepared.items))


class RepeatSignal(Signal):
    """Counts over the user's own events, further back than the user tower reads.

    Where users buy the same items again, their own counts beat models of other users (TIFU-KNN: Hu et al., SIGIR 2020;
    Ariannezhad et al., SIGIR 2022, on repetition in baskets). The channels:

    - had: log1p of the candidate's events.
    - had of late: log1p of the sum of 1 / sqrt(1 + hours) over its events, by their age. Frequency and recency in one
      number that has no scale of its own (base-level activation with its usual decay: Anderson and Schooler 1991).
    - last had: 1 / (1 + rank), where the rank counts the user's events after the candidate's last one. Events of one
      second have one rank: the items of a basket are alike.
    - beside the source: log1p of its events next to the source item.
    - share beside the source: the share of these among all events next to it.

    Stock TensorFlow ops only. The events of a request are those before its time, in training and in serving.
    """

    channels = ("had", "had of late", "last had", "beside the source", "share beside the source")

    def __init__(self, config: Repeats, items: int) -> None:
        """Build for the declared numbers of events and a catalogue of `items`."""
        self.config, self._items = config, items

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`; the events of a request are those before it."""
        del time
        events, near = self._events(request), self._beside(request)
        ones = tf.ones_like(near)
        values = tf.stack([ones, self._of_late(request), self._last(request), near], -1)
        had, late, last, beside = tf.unstack(sums_of(candidates, events, values, self._items), axis=-1)
        share = tf.math.divide_no_nan(beside, tf.reduce_sum(near, 1, keepdims=True))
        return tf.stack([tf.math.log1p(had), tf.math.log1p(late), last, tf.math.log1p(beside), share], -1)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: items next to the source item, the newest items and the most frequent ones, in turns.

        Those next to the source item are ordered by time, the frequent ones by the channel "had of late".
        """
        count, blank = self.config.candidates, tf.constant(MISSING, tf.int64)
        # Padded by as many blanks as there are proposals, so that there are enough to choose from.
        events = tf.pad(self._events(request), [[0, 0], [0, count]], constant_values=MISSING)
        whole = tf.pad(not_earlier_events(self._times(request)) <= count, [[0, 0], [0, count]])
        near = tf.pad(self._beside(request), [[0, 0], [0, count]])
        order = tf.argsort(tf.cast(near == 0, tf.int32), axis=1, stable=True)[:, :count]
        beside = tf.gather(tf.where(near > 0, events, blank), order, batch_dims=1)
        newest = tf.where(whole, events, blank)[:, :count]
        frequent = strongest(self._events(request), self._of_late(request), self._items, count)
        lists = [tf.ensure_shape(found, [None, count]) for found in (beside, newest, frequent)]
        most = tf.fill([tf.shape(events)[0]], count)
        return tf.ensure_shape(merged(lists, most, self._items)[:, :count], [None, count])

    def _events(self, request: SignalRequest) -> tf.Tensor:
        """Return the items of the events that are read, `[batch, events]`, newest first."""
        return request.last(self.config.window)[0]

    def _times(self, request: SignalRequest) -> tf.Tensor:
        """Return the times of these events, `[batch, events]`."""
        return request.last(self.config.window)[1]

    def _of_late(self, request: SignalRequest) -> tf.Tensor:
        """Return 1 / sqrt(1 + hours) of each event's age, `[batch, events]`."""
        age = tf.maximum(request.timestamp[:, None] - self._times(request), 0)
        return tf.math.rsqrt(1.0 + tf.cast(age, tf.float32) / HOUR)

    def _last(self, request: SignalRequest) -> tf.Tensor:
        """Return 1 / (1 + later events of the user) of each item's last event, `[batch, events]`; 0 of the others."""
        events, later = self._events(request), later_events(self._times(request))
        newest = FirstOccurrences(events, self._items).is_first()
        return tf.where(newest, 1.0 / (1.0 + tf.cast(later, tf.float32)), 0.0)

    def _beside(self, request: SignalRequest) -> tf.Tensor:
        """Mark the events within `reach` of one of the source item by 1, `[batch, events]`; others have 0.

        The distance is that of the two seconds: all events of a second are equally near to another event.
        """
        events, times = self._events(request), self._times(request)
        source = request.source_item[:, None]
        here = (events == source) & (source >= 0)
        later, until = later_events(times), not_earlier_events(times)
        begin, width = tf.maximum(later - self.config.reach, 0), tf.shape(events)[1]
        near = _any_between(_any_between(here, later, until), begin, tf.minimum(until + self.config.reach, width))
        return tf.cast(near & ~here & (events >= 0), tf.float32)


def _any_between(marked: tf.Tensor, begin: tf.Tensor, end: tf.Tensor) -> tf.Tensor:
    """Tell whether any event from `begin` to before `end` is marked; all are `[batch, events]`."""
    among_first = tf.pad(tf.cumsum(tf.cast(marked, tf.int32), axis=1), [[0, 0], [1, 0]])
    return tf.gather(among_first, end, batch_dims=1) > tf.gather(among_first, begin, batch_dims=1)
