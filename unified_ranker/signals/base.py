"""Contract of a signal: its declaration, its input data, and its features of a request and a candidate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, TypeVar

import numpy as np

from unified_ranker.config import Config
from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.core.arrays import MISSING
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.signals.later_events import later_events, not_earlier_events
from unified_ranker.towers.columns import Columns
from unified_ranker.towers.tensorflow import tf

V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class SignalRequest(Columns):
    """Batch of requests, as input of the signals.

    Attributes:
        words: the query after imputation, as the signals read it, `[batch, words]`; the request that a signal gets
            has the columns of its own `read_text`.
        source_item: source item indices after imputation, `[batch]`; -1 without one.
        recent: the user's last items in whole seconds, newest first, `[batch, recent]`; -1 where there are fewer.
        recent_time: seconds of these events, `[batch, recent]`; 0 where there are fewer.
        task: index of the task, `[batch]`; 0 for an unknown one.
        timestamp: seconds, `[batch]`.
    """

    words: tf.Tensor
    source_item: tf.Tensor
    recent: tf.Tensor
    recent_time: tf.Tensor
    task: tf.Tensor
    timestamp: tf.Tensor

    @classmethod
    def spec(cls) -> SignalRequest:
        """Return the tensor specs of a batch of any size."""
        indices, number = tf.TensorSpec([None, None], tf.int64), tf.TensorSpec([None], tf.int64)
        return cls(
            words=indices, source_item=number, recent=indices, recent_time=indices, task=number, timestamp=number
        )

    def last(self, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return items and times of the last `most` events in whole seconds; see `windows.whole_seconds`.

        Both are `[batch, n]`, newest first, with -1 and 0 behind; `n` is at most `most`, and the longest of the batch.
        """
        later, until = later_events(self.recent_time), not_earlier_events(self.recent_time)
        among_last = tf.range(tf.shape(later)[1])[None] < most
        own = (until <= most) | (among_last & (until - later > most))
        there = own & ((self.recent != MISSING) | (self.recent_time != 0))
        width = tf.reduce_max(tf.concat([tf.math.count_nonzero(there, 1, dtype=tf.int32), [1]], 0))
        own, items, times = (column[:, :width] for column in (own, self.recent, self.recent_time))
        return tf.where(own, items, tf.constant(MISSING, items.dtype)), tf.where(own, times, tf.zeros_like(times))

    def without_user(self) -> SignalRequest:
        """Return the requests with the user's history removed."""
        nothing = tf.fill(tf.shape(self.recent), np.int64(MISSING))
        return replace(self, recent=nothing, recent_time=tf.zeros_like(nothing))


class Signal(ABC):
    """Features of a request and a candidate, computed in the graph.

    Attributes:
        channels: names of the features of a pair.
        text_width: number of columns of `SignalRequest.words` that it uses; 0: none.
        learnt: whether the ranking head learns from it. Where it does not, its weight comes from the blend alone, which
            is fitted on a later slice, and the signal needs no counts as of each training example.
    """

    channels: tuple[str, ...]
    text_width: int = 0
    learnt: ClassVar[bool] = True

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """Tables of the graph, which are saved with it; none by default."""
        return ()

    def read_text(self, text: tf.Tensor) -> tf.Tensor:
        """Return queries `[n]` as int64 `[n, text_width]`; only called where `text_width` is above 0."""
        raise NotImplementedError

    @abstractmethod
    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """Return `[batch, candidates, channels]`, float32, for item indices `[batch, candidates]` (-1 = unknown item).

        With `time` `[batch]` (seconds), for training, the features are as of that time, so that no example sees itself;
        a signal that is not learnt is never asked so. Without it they are as of the end of the fit window, and
        computed by stock TensorFlow operations alone. An
        unknown item has zeros.
        """

    def title_features(self, request: SignalRequest, row: tf.Tensor, titles: tf.Tensor) -> tf.Tensor | None:
        """Return the features of pairs of a request and a title that came since, `[pairs, channels]`.

        By default None: the signal does not depend on titles, and an item has the features of its index.

        Args:
            request: the requests.
            row: of each pair's request, `[pairs]`.
            titles: `[pairs]`.
        """
        del request, row, titles
        return None

    @abstractmethod
    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """Return items worth ranking, `[batch, n]` with a fixed `n`, int64; -1 where there are fewer.

        The candidate rule is applied to them by the caller.
        """


@dataclass(frozen=True)
class SignalInputs:
    """Data for building signals.

    Attributes:
        prepared: the prepared log.
        end: the end of the fit window, seconds; a served graph has no later data.
        tasks: the declared ones, in the order of `SignalRequest.task`, which counts from 1.
    """

    prepared: Prepared
    end: int
    tasks: tuple[str, ...] = ()
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    def once(self, make: Callable[[SignalInputs], V]) -> V:
        """Return the result of a function of these inputs; it is computed once for all signals that ask for it."""
        if make not in self._made:
            self._made[make] = make(self)
        made: V = self._made[make]
        return made


class SignalKind(Declaration, ABC):
    """Declaration of a signal in towers/ranker.yaml, which builds it.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without TensorFlow and SciPy
    (see `towers.tensorflow`), because the ranking service reads declarations without either of them.
    """

    type: str

    @property
    def events_read(self) -> int:
        """Number of a user's last events that it reads by `SignalRequest.last`; 1 by default."""
        return 1

    def need(self, config: Config, log: InteractionLog) -> Need | None:
        """Return its requirement on the log, for `validate`; None by default, for no requirement."""
        del config, log
        return None

    @abstractmethod
    def build(self, inputs: SignalInputs) -> Signal:
        """Build the signal, with its tables as of the end of the fit window."""


SIGNALS: Kinds[SignalKind] = Kinds("signal")
"""Signals that `signals` in towers/ranker.yaml may declare."""
