"""Contracts of a signal: its declaration, what it is built from, and what it gives for a request and a candidate."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import numpy as np

from unified_ranker.config import Config
from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.core.arrays import MISSING
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.towers.columns import Columns
from unified_ranker.towers.tensorflow import tf

V = TypeVar("V")


@dataclass(frozen=True, eq=False)
class SignalRequest(Columns):
    """A batch of requests as the signals see them.

    Attributes:
        words: what the signals read of the query after imputation, `[batch, words]`: of a signal's own request the
            columns that its `read_text` gave.
        source_item: source item indices after imputation, `[batch]`; -1 without one.
        recent: the user's last items, newest first, `[batch, recent]`; -1 where there are fewer.
    """

    words: tf.Tensor
    source_item: tf.Tensor
    recent: tf.Tensor

    @classmethod
    def spec(cls) -> SignalRequest:
        """Return the types of any number of requests."""
        indices = tf.TensorSpec([None, None], tf.int64)
        return cls(words=indices, source_item=tf.TensorSpec([None], tf.int64), recent=indices)

    def without_user(self) -> SignalRequest:
        """Return the requests as of nobody known."""
        return replace(self, recent=tf.fill(tf.shape(self.recent), np.int64(MISSING)))


class Signal(ABC):
    """One kind of link between a request and a candidate, in the graph.

    Attributes:
        channels: numbers that it gives for a pair.
        text_width: columns of `SignalRequest.words` that it reads of a query; 0: none.
    """

    channels: int
    text_width: int = 0

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """Tables that the graph reads, which are saved with it; none by default."""
        return ()

    def read_text(self, text: tf.Tensor) -> tf.Tensor:
        """Return what it compares of queries `[n]`, `[n, text_width]`, int64; only asked where it reads any."""
        raise NotImplementedError

    @abstractmethod
    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """Return `[batch, candidates, channels]`, float32, for item indices `[batch, candidates]` (-1 = unknown item).

        With `time` `[batch]` (seconds) as of that moment, for training: no example may see itself. Without it as of the
        end of the fit window, by stock TensorFlow operations alone. An unknown item has zeros.
        """

    @abstractmethod
    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """Return items worth ranking, `[batch, n]` with a fixed `n`, int64; -1 where there are fewer.

        They are candidates to consider: whoever retrieves decides which of them may answer.
        """


@dataclass(frozen=True)
class SignalInputs:
    """Data that a signal may be built from.

    Attributes:
        prepared: the prepared log.
        end: the end of the fit window, seconds: what a served graph knows is older.
    """

    prepared: Prepared
    end: int
    _made: dict[Callable[..., Any], Any] = field(default_factory=dict, repr=False)

    def once(self, make: Callable[[SignalInputs], V]) -> V:
        """Return what a function makes of these inputs, made once for all signals that ask for it."""
        if make not in self._made:
            self._made[make] = make(self)
        made: V = self._made[make]
        return made


class SignalKind(Declaration, ABC):
    """Declaration of a signal in towers/ranker.yaml, which builds it.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without TensorFlow and SciPy
    (see `towers.tensorflow`): the ranking service reads declarations where there is neither.
    """

    type: str

    @property
    def events_read(self) -> int:
        """Number of a user's last events that it reads in `SignalRequest.recent`; 1 by default."""
        return 1

    def need(self, config: Config, log: InteractionLog) -> Need | None:
        """Return what it is made from, for `validate`; None by default: it can be made from any log."""
        del config, log
        return None

    @abstractmethod
    def build(self, inputs: SignalInputs) -> Signal:
        """Build the signal, with its tables as of the end of the fit window."""


SIGNALS: Kinds[SignalKind] = Kinds("signal")
"""Signals that `signals` in towers/ranker.yaml may declare."""
