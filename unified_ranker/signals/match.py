"""Contract of a signal: what it reads of a request, and what it gives."""

from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.columns import Columns
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class SignalRequest(Columns):
    """A batch of requests as the signals see them.

    Attributes:
        words: word ids of the query after imputation, `[batch, words]`; -1 where there is none.
        source_item: source item indices after imputation, `[batch]`; -1 without one.
        recent: the user's last items, newest first, `[batch, recent]`; -1 where there are fewer.
    """

    words: tf.Tensor
    source_item: tf.Tensor
    recent: tf.Tensor

    @classmethod
    def spec(cls) -> "SignalRequest":
        """Return the types of any number of requests."""
        indices = tf.TensorSpec([None, None], tf.int64)
        return cls(words=indices, source_item=tf.TensorSpec([None], tf.int64), recent=indices)

    def without_user(self) -> "SignalRequest":
        """Return the requests as of nobody known."""
        return replace(self, recent=tf.fill(tf.shape(self.recent), np.int64(MISSING)))


class Signal(Protocol):
    """One kind of link between a request and a candidate."""

    channels: int
    """Numbers that it gives for a pair."""

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """Return `[batch, candidates, channels]` for item indices `[batch, candidates]` (-1 = unknown item).

        With `time` `[batch]` (seconds) as of that moment, for training; else as of the end of the fit window.
        """

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """Return item indices worth ranking, `[batch, n]`; -1 where there are fewer."""
