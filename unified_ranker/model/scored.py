"""Groups of tensors that the model returns: scored candidates, and the examples that the ranking head learns from."""

from typing import NamedTuple

from unified_ranker.signals.base import SignalRequest
from unified_ranker.towers.tensorflow import tf


class Scored(NamedTuple):
    """Candidates of some requests with their scores.

    Attributes:
        score: score of the blend, `[batch, candidates]`.
        logits: of the heads, `[batch, candidates, heads]`.
        retrieval: two-tower scores, `[batch, candidates]`.
        channels: inputs of the blend, `[batch, candidates, channels]`.
    """

    score: tf.Tensor
    logits: tf.Tensor
    retrieval: tf.Tensor
    channels: tf.Tensor


class RankedExamples(NamedTuple):
    """Examples of a batch that the ranking head learns from.

    Attributes:
        chosen: their rows in the batch, `[rows]`.
        signals: input of the signals.
        proposals: of the learnt signals, `[rows, n]`; -1 where there are fewer.
        proposed: those that were drawn from them as candidates, `[rows, m]`; -1 = none.
        refused: items that the user refused before, `[rows, r]`; -1 where there are fewer.
    """

    chosen: tf.Tensor
    signals: SignalRequest
    proposals: tf.Tensor
    proposed: tf.Tensor
    refused: tf.Tensor
