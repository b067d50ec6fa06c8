"""Head kind `event`: the probability that the request ends in the event with the candidate."""

from __future__ import annotations

from typing import Literal

import numpy as np

from unified_ranker.tasks.head_kinds.base import HEAD_KINDS, HeadExamples, HeadKind, HeadPairs, HeadReport
from unified_ranker.towers.tensorflow import tf


@HEAD_KINDS.declare
class EventHead(HeadKind):
    """Probability of an event: a softmax that puts the chosen candidate first, calibrated by Platt's numbers."""

    type: Literal["event"] = "event"

    def loss(self, examples: HeadExamples) -> tf.Tensor:
        """See `HeadKind.loss`: cross-entropy of the chosen candidate, and of the calibrated probabilities.

        Logits are corrected by how often their items are drawn (log-Q, Yi et al., RecSys 2019).
        """
        from unified_ranker.tasks.losses import softmax_over_candidates

        corrected = examples.logits - tf.math.log(examples.drawn)
        first = tf.zeros_like(examples.value, tf.int64)
        return softmax_over_candidates(corrected, first, examples.allowed) + self._calibration(examples)

    def output(self, logits: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """See `HeadKind.output`: a probability, by sigmoid(exp(scale) · logit + shift)."""
        return tf.sigmoid(tf.exp(scale) * logits + shift)

    def log_output(self, logits: tf.Tensor, scale: tf.Tensor, shift: tf.Tensor) -> tf.Tensor:
        """See `HeadKind.log_output`: exact where the probability is next to 0 or 1."""
        return tf.math.log_sigmoid(tf.exp(scale) * logits + shift)

    def calibrate(self, pairs: HeadPairs) -> tuple[float, float]:
        """See `HeadKind.calibrate`."""
        from unified_ranker.tasks.head_kinds.platt import fit_platt

        return fit_platt(pairs.logits, pairs.event)

    def report(self, name: str, output: np.ndarray, pairs: HeadPairs) -> HeadReport:
        """See `HeadKind.report`: predicted and observed rates."""
        from unified_ranker.tasks.head_kinds.reliability import reliability_of

        return reliability_of(name, output, pairs.event)

    def _calibration(self, examples: HeadExamples) -> tf.Tensor:
        """Return the cross-entropy of the probabilities, `[rows]`; by it the two numbers learn, and no logit."""
        chance = self.output(tf.stop_gradient(examples.logits), examples.scale, examples.shift)
        chance = tf.clip_by_value(chance, 1e-6, 1 - 1e-6)
        candidates = tf.cast(tf.shape(chance)[1], tf.float32)
        others = tf.where(examples.allowed[:, 1:], -tf.math.log1p(-chance[:, 1:]), tf.zeros_like(chance[:, 1:]))
        return -tf.math.log(chance[:, 0]) / candidates + tf.reduce_sum(others, 1) / candidates
