"""What of a request the signals read, and what each of them gives."""

from dataclasses import dataclass
from typing import Protocol

from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class SignalRequest:
    """A batch of requests as the signals see them.

    Attributes:
        words: word ids of the query after imputation, `[batch, words]`; -1 where there is none.
        source: source item indices after imputation, `[batch]`; -1 without one.
        recent: the user's last items, newest first, `[batch, recent]`; -1 where there are fewer.
    """

    words: tf.Tensor
    source: tf.Tensor
    recent: tf.Tensor


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
