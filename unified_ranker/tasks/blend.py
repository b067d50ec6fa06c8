"""Blend: the final score of a candidate, as a weighted sum of its channels, by task."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from unified_ranker.core.arrays import Floats
from unified_ranker.towers.tensorflow import tf

_FARTHEST = 10.0
"""Deviations at which a standardised value is cut, because a single count among zeros would dominate the sum."""


BLEND = "blend"


@dataclass(frozen=True)
class FittedBlend:
    """Result of the fit for a task.

    Attributes:
        task: its name.
        requests: number of requests that it was fitted on.
        found: share of them whose target was among the candidates.
        factors: weights of the standardised channels, `[channels]`.
        ndcg: NDCG@10 on these requests, of the blend (under `BLEND`) and of each channel alone (under its name).
    """

    task: str
    requests: int
    found: float
    factors: Floats
    ndcg: dict[str, float]

    @property
    def best_channel(self) -> str:
        """Channel with the highest NDCG@10 alone."""
        return max((name for name in self.ndcg if name != BLEND), key=lambda name: self.ndcg[name])

    def to_json(self) -> dict[str, Any]:
        """Return a document for JSON, which `of_json` reads."""
        return {**vars(self), "factors": np.asarray(self.factors).tolist()}

    @classmethod
    def of_json(cls, document: dict[str, Any]) -> FittedBlend:
        """Build from what `to_json` returned."""
        return cls(**{**document, "factors": np.array(document["factors"], np.float32)})


class Blend(tf.keras.layers.Layer):
    """Weighted sum of the standardised channels of a candidate, with weights for each task.

    Fitted after training on a later slice (`evaluation.blend_fit`); a task without a fit keeps the score of the head.
    Channels are standardised among the candidates of a request, so that their differences are comparable between
    requests; a blended score therefore depends on the other candidates, as a rank does. (Values, standardised values
    and reciprocal ranks were tried in all combinations; the standardised ones alone were best or within 1 % on the
    tasks of three logs.)
    """

    def __init__(self, channels: Sequence[str], tasks: int) -> None:
        """Build for `tasks` and the named channels, of which the first is the score of the head."""
        super().__init__(name="blend")
        self.channels = tuple(channels)
        # Not trained by gradients: the fit assigns them.
        self.factors = self.add_weight("factors", (tasks + 1, len(channels)), initializer="zeros", trainable=False)
        self.fitted = self.add_weight("fitted", (tasks + 1,), initializer="zeros", trainable=False)

    def assign(self, fitted: Mapping[int, FittedBlend]) -> None:
        """Set fitted weights, by index of the task; other tasks keep theirs."""
        factors, known = self.factors.numpy(), self.fitted.numpy()
        for task, found in fitted.items():
            factors[task], known[task] = found.factors, 1.0
        self.factors.assign(factors)
        self.fitted.assign(known)

    def call(self, channels: tf.Tensor, present: tf.Tensor, task: tf.Tensor) -> tf.Tensor:
        """Return the final scores `[batch, candidates]`.

        Args:
            channels: `[batch, candidates, channels]`.
            present: whether a slot holds a candidate, `[batch, candidates]`.
            task: of each request, `[batch]`.
        """
        blended = tf.einsum("bnc,bc->bn", standardised(channels, present), tf.gather(self.factors, task))
        return tf.where(tf.gather(self.fitted, task)[:, None] > 0, blended, channels[..., 0])


def standardised(channels: tf.Tensor, present: tf.Tensor) -> tf.Tensor:
    """Return channels `[batch, candidates, channels]` less their mean, over their deviation, among the candidates.

    Only the slots that are `present` `[batch, candidates]` count; the others have zeros, and so has a channel that is
    equal for all candidates of a request.
    """
    there = tf.cast(present, tf.float32)
    values = tf.where(present[..., None], channels, 0.0)
    count = tf.maximum(tf.reduce_sum(there, 1), 1.0)[:, None]

    def mean(of: tf.Tensor) -> tf.Tensor:
        # A product: TensorFlow's sums over an inner dimension take many times as long.
        return (tf.einsum("bnc,bn->bc", of, there) / count)[:, None]

    middle = mean(values)
    apart = values - middle
    deviation = tf.sqrt(mean(tf.square(apart)))
    # A deviation that is only a rounding error counts as 0.
    some = deviation > 1e-5 * tf.abs(middle)
    scale = tf.where(some, 1.0 / tf.maximum(deviation, 1e-12), 0.0)
    return tf.where(present[..., None], tf.clip_by_value(apart * scale, -_FARTHEST, _FARTHEST), 0.0)
