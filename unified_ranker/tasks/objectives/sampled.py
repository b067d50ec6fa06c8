"""Retrieval objective `sampled`: the next item among the batch's positives and uniformly drawn items."""

from __future__ import annotations

from typing import Literal

import numpy as np
from pydantic import Field, model_validator

from unified_ranker.core.candidate_rule import exists
from unified_ranker.tasks.log_q import chance_among
from unified_ranker.tasks.objectives.base import OBJECTIVES, ObjectiveKind, RetrievalBatch, RetrievalLoss
from unified_ranker.towers.tensorflow import tf, tfrs


@OBJECTIVES.declare
class SampledItems(ObjectiveKind):
    """In-batch positives and uniformly drawn items, corrected by log-Q."""

    type: Literal["sampled"]
    uniform: int = Field(1024, ge=0)
    """Items drawn from the whole catalogue for a batch, besides the positives of the batch."""
    hard: int | None = Field(None, ge=1)
    """Number of negatives, the hardest ones, that the loss counts; null: all."""
    hard_after: float = Field(0.0, ge=0, lt=1)
    """Share of the training after which `hard` begins."""
    hard_ramp: float = Field(0.0, ge=0, le=1)
    """Share of the training over which the loss passes from all negatives to the hardest (Etsy, arXiv 2306.04833,
    section 3.3)."""

    @property
    def ramps(self) -> bool:
        """Tells whether only later steps of training use the hardest negatives alone."""
        return self.hard is not None and self.hard_after + self.hard_ramp > 0

    @property
    def draws(self) -> int:
        """See `ObjectiveKind.draws`."""
        return self.uniform

    @property
    def keeps(self) -> int | None:
        """See `ObjectiveKind.keeps`."""
        return self.hard

    def build(self, share: np.ndarray, temperature: float) -> RetrievalLoss:
        """See `ObjectiveKind.build`."""
        return SampledLoss(self, share, temperature)

    @model_validator(mode="after")
    def _ramp_fits(self) -> SampledItems:
        if self.hard is None and self.hard_after + self.hard_ramp > 0:
            raise ValueError(
                "`hard_after` and `hard_ramp` say when `hard` begins. "
                f"Received: {self.hard_after:g} and {self.hard_ramp:g} without `hard`. Set `hard`, or leave them out."
            )
        if self.hard_after + self.hard_ramp > 1:
            raise ValueError(
                "`hard_after` + `hard_ramp` are shares of one training and must not exceed 1. "
                f"Received: {self.hard_after:g} + {self.hard_ramp:g}. Lower one."
            )
        return self


class SampledLoss(RetrievalLoss):
    """Softmax of each positive among the positives of its rows and `uniform` drawn items; the hardest through TFRS.

    An item's chance to be among the candidates at least once is 1 - (1 - q)^positives · (1 - 1/items)^uniform, with q
    its share of all positives; its log corrects the logits (Yi et al., RecSys 2019, for batches alone). Other
    occurrences of a row's own positive are removed as accidental hits. Of several next items one is drawn.
    """

    def __init__(self, config: SampledItems, share: np.ndarray, temperature: float) -> None:
        """Build for items whose share of training positives is `share` `[items]`."""
        self.config = config
        self.share = tf.constant(share, tf.float32)
        self.temperature = temperature
        if config.hard is not None:
            self.hard_task = _task(temperature, config.hard)
            # Traced with AutoGraph, because TFRS takes `len` of a shape; the model's own code is traced without it.
            self.hard_loss = tf.function(self.hard_task.call, reduce_retracing=True)

    def of_rows(self, batch: RetrievalBatch, rows: tf.Tensor) -> tf.Tensor:
        """See `RetrievalLoss.of_rows`."""
        target = draw_target(tf.gather(batch.labels.targets, rows), tf.gather(batch.decay, rows))
        ids = tf.concat([target, batch.drawn[: self.config.uniform]], 0)
        existed = exists(batch.items.created_at(ids)[None], tf.gather(batch.query.timestamp, rows)[:, None])
        return self.among(tf.gather(batch.query.embedding, rows), batch.items.at(ids), ids, existed)

    def among(self, queries: tf.Tensor, candidates: tf.Tensor, ids: tf.Tensor, existed: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `[examples]`.

        Args:
            queries: `[examples, dim]`.
            candidates: vectors of each example's item, then of the drawn items, `[examples + uniform, dim]`.
            ids: their item indices, `[examples + uniform]`.
            existed: whether a candidate existed at the time of an example, `[examples, examples + uniform]`; an
                example's own item always takes part.
        """
        chance = tf.maximum(
            chance_among(tf.gather(self.share, ids), len(self.share), tf.shape(queries)[0], self.config.uniform), 1e-6
        )
        if self.config.hard is None:
            return self._of_all(queries, candidates, ids, existed, chance)
        hard = self.hard_loss(
            queries,
            candidates,
            candidate_sampling_probability=chance,
            candidate_ids=ids,
            score_mask=existed | tf.eye(tf.shape(queries)[0], tf.shape(ids)[0], dtype=tf.bool),
            compute_metrics=False,
            compute_batch_metrics=False,
        )
        if not self.config.ramps:
            return hard
        share = hard_share(self.progress(), self.config)
        return share * hard + (1.0 - share) * self._of_all(queries, candidates, ids, existed, chance)

    def _of_all(
        self, queries: tf.Tensor, candidates: tf.Tensor, ids: tf.Tensor, existed: tf.Tensor, chance: tf.Tensor
    ) -> tf.Tensor:
        """Return the loss over all negatives, `[examples]`; for the arguments see `among`."""
        from unified_ranker.tasks.losses import softmax_against

        count = tf.shape(queries)[0]
        rows = tf.concat([queries / self.temperature, tf.ones([count, 1])], 1)
        # The correction is a column of the product.
        columns = tf.concat([candidates, -tf.math.log(chance)[:, None]], 1)
        # Ids of 32 bits are compared twice as fast.
        short = tf.cast(ids, tf.int32)
        return softmax_against(rows, columns[:count], columns, existed & (short[None] != short[:count, None]))


def draw_target(targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Draw one of the next items `[examples, k]` in proportion to its weight: next-k in expectation, `[examples]`."""
    from unified_ranker.tasks.losses import gumbel_noise

    if targets.shape[1] == 1:
        return targets[:, 0]
    logits = tf.where(targets >= 0, tf.math.log(tf.maximum(weights, 1e-20)), -1e9)
    noise = gumbel_noise(tf.shape(logits))
    return tf.gather(targets, tf.argmax(logits + noise, 1), batch_dims=1)


def hard_share(progress: tf.Tensor, config: SampledItems) -> tf.Tensor:
    """Return the weight of the hardest negatives, in [0, 1], when the share `progress` of the training is done."""
    begun = progress - config.hard_after
    if config.hard_ramp == 0:
        return tf.cast(begun >= 0, tf.float32)
    return tf.clip_by_value(begun / config.hard_ramp, 0.0, 1.0)


def _task(temperature: float, hard: int) -> tfrs.tasks.Retrieval:
    return tfrs.tasks.Retrieval(
        loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE),
        temperature=temperature,
        num_hard_negatives=hard,
        remove_accidental_hits=True,
    )
