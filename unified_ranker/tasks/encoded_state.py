"""Encoded requests, the input of heads and objectives, and the labels of training."""

from __future__ import annotations

from dataclasses import dataclass

from unified_ranker.signals.base import SignalRequest
from unified_ranker.towers.columns import Columns
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class EncodedQuery(Columns):
    """Requests as the towers encode them, for retrieval.

    Attributes:
        embedding: query embedding of unit length, `[batch, dim]`.
        source: vector of the source item, `[batch, dim]`; zero without one.
        context: context state, `[batch, 2 dim]`.
        task: index of the task, `[batch]`; 0 for an unknown one.
        timestamp: seconds, `[batch]`.
    """

    embedding: tf.Tensor
    source: tf.Tensor
    context: tf.Tensor
    task: tf.Tensor
    timestamp: tf.Tensor


@dataclass(frozen=True, eq=False)
class EncodedState(EncodedQuery):
    """Encoded requests with all that ranking needs.

    Attributes:
        history: vectors of the items of the last events, `[batch, events, dim]`.
        history_mask: which of them hold a known item, `[batch, events]`.
        signals: inputs of the signals.
    """

    history: tf.Tensor
    history_mask: tf.Tensor
    signals: SignalRequest

    @classmethod
    def spec(cls, dim: int) -> EncodedState:
        """Return the types of states for vectors of `dim`."""
        vector, index = tf.TensorSpec([None, dim], tf.float32), tf.TensorSpec([None], tf.int64)
        return cls(
            embedding=vector,
            source=vector,
            context=tf.TensorSpec([None, 2 * dim], tf.float32),
            task=index,
            timestamp=index,
            history=tf.TensorSpec([None, None, dim], tf.float32),
            history_mask=tf.TensorSpec([None, None], tf.bool),
            signals=SignalRequest.spec(),
        )


@dataclass(frozen=True, eq=False)
class Labels(Columns):
    """Examples' outcomes, `[examples]`.

    Attributes:
        item: index of the positive.
        head: position of the head that it trains.
        weight: of the example.
        value: of its event; NaN where absent.
        retrieved: 1 where retrieval learns it, 0 where its head alone does.
        targets: the user's next positives, its own first, `[examples, k]`; -1 where there are fewer.
        decay: weights of `targets`, `[examples, k]`.
    """

    item: tf.Tensor
    head: tf.Tensor
    weight: tf.Tensor
    value: tf.Tensor
    retrieved: tf.Tensor
    targets: tf.Tensor
    decay: tf.Tensor
