"""Ranking objective: heads learn to rank the positive among candidates as in serving."""

from collections.abc import Callable
from typing import Protocol

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import NOT_A_CANDIDATE
from unified_ranker.core.candidate_rule import exists
from unified_ranker.signals.base import SignalRequest
from unified_ranker.tasks.encoded_state import EncodedState, Labels
from unified_ranker.tasks.head_groups import RankedBatch
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.losses import gumbel_noise
from unified_ranker.towers.tensorflow import tf

QualityLookup = Callable[[np.ndarray, np.ndarray], np.ndarray]
"""Quality features `[n, features]` of items `[n]` as of times `[n]` (seconds)."""


class SignalFeatures(Protocol):
    """Part of the model that computes the features of signals."""

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """Return the signals `[rows, candidates, channels]` as of `time` `[rows]`."""


class CandidateScorer(Protocol):
    """The part of the model that the objective trains."""

    signals: SignalFeatures

    def rank(
        self, state: EncodedState, items: tf.Tensor, quality: tf.Tensor, signals: tf.Tensor, training: bool
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """Score candidates."""

    def head_losses(self, batch: RankedBatch, task: tf.Tensor) -> tf.Tensor:
        """Return the losses of the heads, `[rows]`; `batch` lacks the numbers of calibration."""


class RankingObjective(tf.keras.layers.Layer):
    """Losses of the heads over candidates, among them the item that was chosen, and those that the user had refused.

    A third of the candidates is drawn by their retrieval scores and up to a third from the proposals of the signals, so
    that the head is trained on the candidates of serving; the rest is drawn uniformly, for the tail of the catalogue.
    Each logit is corrected by the log of the probability that its item is drawn, and, where a batch holds a part of the
    catalogue, that it holds the item. Otherwise the head would learn to rank candidates of retrieval and signals, and
    popular items, too low (log-Q, Yi et al., RecSys 2019).
    """

    def __init__(self, config: Config, quality: QualityLookup) -> None:
        """Build for the declared numbers of examples and candidates a batch."""
        super().__init__(name="ranking_objective")
        training = config.project.training
        self.examples, self.candidates = training.ranking_examples, training.ranking_candidates
        self.temperature, self.features = training.temperature, len(config.towers.item.quality)
        self.quality = quality
        self.balance, self.proposed = training.ranking_balance, (self.candidates - 1) // 3

    def choose(self, task: tf.Tensor) -> tf.Tensor:
        """Draw the rows of a batch that train the head, at most the declared number, `[rows]`.

        A task with n of the batch's examples is drawn in proportion to n to the power of 1 - balance (Gumbel top-k).
        """
        of_task = tf.math.unsorted_segment_sum(tf.ones_like(task, tf.float32), task, tf.reduce_max(task) + 1)
        noise = gumbel_noise(tf.shape(task))
        keys = noise - self.balance * tf.math.log(tf.gather(of_task, task))
        return tf.math.top_k(keys, tf.minimum(self.examples, tf.shape(task)[0])).indices

    def draw_proposals(self, proposals: tf.Tensor) -> tf.Tensor:
        """Draw at most a third of the candidates from the signals' proposals `[rows, n]`: `[rows, m]`; -1 = none."""
        count = min(self.proposed, proposals.shape[1])
        keys = tf.where(proposals >= 0, tf.random.uniform(tf.shape(proposals)), -1.0)
        return tf.gather(proposals, tf.math.top_k(keys, count).indices, batch_dims=1)

    def call(
        self,
        state: EncodedState,
        labels: Labels,
        scores: tf.Tensor,
        proposed: tf.Tensor,
        proposals: tf.Tensor,
        refused: tf.Tensor,
        items: ItemVectors,
        model: CandidateScorer,
        training: bool = False,
    ) -> tf.Tensor:
        """Return the loss of each chosen example, `[rows]`.

        Args:
            state: the chosen examples, encoded.
            labels: of the examples.
            scores: retrieval scores of the batch's items, `[rows, n]`; no gradient flows through the choice.
            proposed: item indices drawn from the signals' proposals `[rows, m]`; -1 = none.
            proposals: all proposals of the signals `[rows, n]`; -1 = none.
            refused: items that the user refused before `[rows, r]`; -1 = none.
            items: the batch's items, the proposed among them.
            model: scores candidates.
            training: whether dropout is on.
        """
        target, time = items.rows_of(labels.item)[:, None], state.timestamp[:, None]
        likely = tf.where(exists(items.created[None], time), tf.stop_gradient(scores), NOT_A_CANDIDATE)
        found, chance = self._candidates(likely, proposed.shape[1])
        if items.included is not None:
            # A batch holds a part of the catalogue, and a popular item is in more batches.
            chance *= items.included[None]
        others = tf.concat([items.rows_of(proposed), found, items.rows_of(refused)], 1)
        there, others = others >= 0, tf.maximum(others, 0)
        existed = there & exists(tf.gather(items.created, others), time)
        chosen = tf.concat([target, others], 1)
        allowed = tf.concat([tf.ones_like(target, tf.bool), (others != target) & existed], 1)
        ids = chosen if items.ids is None else tf.gather(items.ids, chosen)
        quality = self._quality(ids, state.timestamp)
        signals = model.signals.features(state.signals, ids, state.timestamp)
        vectors = tf.gather(items.vectors, chosen)
        _, logits, _ = model.rank(state, vectors, quality, signals, training=training)
        drawn = tf.gather(chance, chosen, batch_dims=1) + self._proposed_share(proposals, ids)
        if refused.shape[1]:
            # Not by how often they are there: a refused item counts as one of those that the uniform draw takes.
            uniform = self._uniform(proposed.shape[1]) / tf.cast(tf.shape(scores)[1], tf.float32)
            drawn = tf.concat([drawn[:, : -refused.shape[1]], uniform * tf.ones_like(refused, tf.float32)], 1)
        return model.head_losses(RankedBatch(logits, drawn, allowed, labels.head, labels.value), state.task)

    def _candidates(self, scores: tf.Tensor, proposed: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Draw items `[rows, candidates - 1 - proposed]`, and return the expected counts of all `[rows, n]`.

        Half of them are drawn without replacement (Gumbel top-k), the rest uniformly with it.
        """
        others, uniform = self.candidates - 1 - proposed, self._uniform(proposed)
        hard = others - uniform
        shape = tf.shape(scores)
        noise = gumbel_noise(shape)
        # Twice the temperature flattens the draw from the few most likely items to those that retrieval returns.
        logits = scores / (2 * self.temperature)
        likely = tf.math.top_k(logits + noise, tf.minimum(hard, shape[1])).indices
        random = tf.random.uniform([shape[0], uniform], 0, shape[1], tf.int32)
        # The probability with replacement; without replacement the likeliest are drawn a little less often.
        found = -tf.math.expm1(hard * tf.math.log1p(-tf.minimum(tf.nn.softmax(logits), 0.999999)))
        chance = found + uniform / tf.cast(shape[1], tf.float32)
        return tf.cast(tf.concat([likely, random], 1), tf.int64), chance

    def _uniform(self, proposed: int) -> int:
        """Return how many candidates are drawn uniformly, beside so many proposed ones."""
        others = self.candidates - 1 - proposed
        return others - others // 2

    def _proposed_share(self, proposals: tf.Tensor, ids: tf.Tensor) -> tf.Tensor:
        """Return the expected count of draws of each of `ids` `[rows, candidates]` from `proposals` `[rows, n]`."""
        count = min(self.proposed, proposals.shape[1])
        times = tf.reduce_sum(tf.cast(ids[:, :, None] == proposals[:, None, :], tf.float32), 2)
        given = tf.reduce_sum(tf.cast(proposals >= 0, tf.float32), 1, keepdims=True)
        return times * tf.minimum(tf.math.divide_no_nan(float(count), given), 1.0)

    def _quality(self, ids: tf.Tensor, times: tf.Tensor) -> tf.Tensor:
        pairs = tf.repeat(times, tf.shape(ids)[1])
        flat = tf.numpy_function(self.quality, [tf.reshape(ids, [-1]), pairs], tf.float32)
        return tf.ensure_shape(
            tf.reshape(flat, [tf.shape(ids)[0], tf.shape(ids)[1], self.features]), [None, None, self.features]
        )
