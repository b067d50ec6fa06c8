"""Retrieval objective `all_items`: the next items among all items that existed."""

from __future__ import annotations

from typing import Literal

import numpy as np

from unified_ranker.core.candidate_rule import exists
from unified_ranker.tasks.objectives.base import OBJECTIVES, ObjectiveKind, RetrievalBatch, RetrievalLoss
from unified_ranker.towers.tensorflow import tf

ALL_ITEMS_BELOW = 5_000
"""Catalogue size below which generated declarations take all items as negatives.

On a log of 12,000 items, 1,024 random ones with their log-Q correction gave more in 165 s than all items in 408 s.
"""


@OBJECTIVES.declare
class AllItems(ObjectiveKind):
    """Softmax over the whole catalogue: for catalogues below about 5,000 items, to which `init` gives it."""

    whole_catalogue = True

    type: Literal["all_items"]

    def build(self, share: np.ndarray, temperature: float) -> RetrievalLoss:
        """See `ObjectiveKind.build`."""
        del share
        return AllItemsLoss(temperature)


class AllItemsLoss(RetrievalLoss):
    """Cross-entropy of the next items, weighted by their decay, among all items."""

    def __init__(self, temperature: float) -> None:
        """Build for a temperature, which divides cosines."""
        self.temperature = temperature

    def of_rows(self, batch: RetrievalBatch, rows: tf.Tensor) -> tf.Tensor:
        """See `RetrievalLoss.of_rows`."""
        from unified_ranker.tasks.losses import softmax_over_items

        # Rows are picked of the embedding: of the scores, the gradient alone would be as wide as the catalogue.
        return softmax_over_items(
            tf.gather(batch.query.embedding, rows) / self.temperature,
            batch.items.vectors,
            tf.gather(batch.items.rows_of(batch.labels.targets), rows),
            tf.gather(batch.decay, rows),
            exists(batch.items.created[None], tf.gather(batch.query.timestamp, rows)[:, None]),
        )
