"""In-batch and uniform negatives with the log-Q correction, through TFRS' retrieval task."""

from collections.abc import Callable

import numpy as np

from unified_ranker.config import SampledItems
from unified_ranker.towers.tensorflow import tf, tfrs


class SampledRetrieval(tf.keras.layers.Layer):
    """Softmax of each positive among the batch's positives and `uniform` items drawn from the catalogue.

    An item's chance to be among the candidates at least once is 1 - (1 - q)^positives · (1 - 1/items)^uniform, with q
    its share of all positives; its log corrects the logits (Yi et al., RecSys 2019, for batches alone). Other
    occurrences of a row's own positive are removed as accidental hits.
    """

    def __init__(self, config: SampledItems, share: np.ndarray, temperature: float) -> None:
        """Build for items whose share of training positives is `share` `[items]`."""
        super().__init__(name="sampled_retrieval")
        self.config = config
        self.share = tf.constant(share, tf.float32)
        self.task = _task(temperature, config.hard)
        # TFRS takes `len` of a shape, which only AutoGraph can trace; the model's own code is traced without it.
        self.loss = tf.function(self.task.call, reduce_retracing=True)
        self.progress: Callable[[], tf.Tensor] = lambda: tf.constant(1.0)
        """Share of the training that is done, a scalar; the training job says so where the negatives ramp."""
        if config.ramps:
            self.easy_task = _task(temperature, None)
            self.easy_loss = tf.function(self.easy_task.call, reduce_retracing=True)

    def call(self, queries: tf.Tensor, candidates: tf.Tensor, ids: tf.Tensor, existed: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `[examples]`.

        Args:
            queries: `[examples, dim]`.
            candidates: vectors of each example's item, then of the drawn items, `[examples + uniform, dim]`.
            ids: their item indices, `[examples + uniform]`.
            existed: which candidates existed at the time of which example, `[examples, examples + uniform]`; an
                example's own item always takes part.
        """
        among = chance_among(tf.gather(self.share, ids), len(self.share), tf.shape(queries)[0], self.config.uniform)
        drawn_from = {
            "candidate_sampling_probability": tf.maximum(among, 1e-6),
            "candidate_ids": ids,
            "score_mask": existed | tf.eye(tf.shape(queries)[0], tf.shape(ids)[0], dtype=tf.bool),
            "compute_metrics": False,
            "compute_batch_metrics": False,
        }
        hard = self.loss(queries, candidates, **drawn_from)
        if not self.config.ramps:
            return hard
        share = hard_share(self.progress(), self.config)
        return share * hard + (1.0 - share) * self.easy_loss(queries, candidates, **drawn_from)


def chance_among(share: tf.Tensor, items: int, positives: tf.Tensor, uniform: int) -> tf.Tensor:
    """Return the chance to be among so many positives and uniform draws at least once, of items `[n]`, in (0, 1).

    Args:
        share: of all positives, `[n]`. An item with none can still be a later target, or in a history: its share is
            taken as a hundredth of uniform.
        items: in the catalogue.
        positives: how many, a scalar.
        uniform: how many items are drawn from the whole catalogue.
    """
    q = tf.clip_by_value(share, 0.01 / items, 0.99)
    absent = tf.cast(positives, tf.float32) * tf.math.log1p(-q) + uniform * np.log1p(-1.0 / max(items, 2))
    return -tf.math.expm1(absent)


def hard_share(progress: tf.Tensor, config: SampledItems) -> tf.Tensor:
    """Return the weight of the hardest negatives, in [0, 1], when the share `progress` of the training is done."""
    begun = progress - config.hard_after
    if config.hard_ramp == 0:
        return tf.cast(begun >= 0, tf.float32)
    return tf.clip_by_value(begun / config.hard_ramp, 0.0, 1.0)


def _task(temperature: float, hard: int | None) -> tfrs.tasks.Retrieval:
    return tfrs.tasks.Retrieval(
        loss=tf.keras.losses.CategoricalCrossentropy(from_logits=True, reduction=tf.keras.losses.Reduction.NONE),
        temperature=temperature,
        num_hard_negatives=hard,
        remove_accidental_hits=True,
    )
