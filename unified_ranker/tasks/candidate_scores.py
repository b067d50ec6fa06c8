"""Retrieval scores of a batch's items as of its examples: vectors and quality together."""

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.freshness import freshness
from unified_ranker.tasks.encoded_state import EncodedQuery
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.ranking import QualityLookup
from unified_ranker.towers.array_functions import TENSORFLOW
from unified_ranker.towers.tensorflow import tf

_MOMENTS = 64
"""Largest number of moments at which counts are tabulated."""
_TABULATED = 1 << 24
"""Largest number of counts in the table: 64 MB."""


class CandidateScores(tf.keras.layers.Layer):
    """Two-tower scores with the declared quality weights, as of each example, by which training candidates are drawn.

    The quality is included because the head must be trained on the candidates of serving. Drawn by the vectors alone,
    the candidates of a news feed would be old items, and the head would learn to prefer new ones, which retrieval does
    already.

    Freshness is exact. Counts are as of the latest of `_MOMENTS` moments before the example: that is enough to draw by,
    and the head is given the exact counts of the drawn items.
    """

    def __init__(self, config: Config, items: int, times: np.ndarray, quality: QualityLookup) -> None:
        """Tabulate the counts of features that a task has a weight for.

        Args:
            config: the declarations.
            items: number of items in the catalogue.
            times: times of the training positives, seconds; the moments divide them into equal numbers.
            quality: look-up of features as of any time.
        """
        super().__init__(name="candidate_scores")
        weighted = {name for task in config.tasks.values() for name, w in task.quality_weights.items() if w}
        decays = [
            (column, feature.decay)
            for column, (name, feature) in enumerate(config.towers.item.quality.items())
            if name in weighted
        ]
        self.fresh = [(column, decay) for column, decay in decays if decay]
        self.counted = [column for column, decay in decays if not decay]
        if self.counted:
            most = max(min(_MOMENTS, _TABULATED // max(items * len(self.counted), 1)), 1)
            moments = np.unique(np.quantile(times, np.linspace(0, 1, most), method="lower"))
            table = quality(np.tile(np.arange(items), len(moments)), np.repeat(moments, items))[:, self.counted]
            self.moments = tf.constant(moments)
            self.table = tf.constant(table.reshape(len(moments), items, len(self.counted)))

    def call(self, query: EncodedQuery, items: ItemVectors, weights: tf.Tensor) -> tf.Tensor:
        """Return scores `[rows, n]` of the batch's `n` items; no gradient flows through them.

        Args:
            query: the examples, encoded, `[rows]`.
            items: the batch's.
            weights: of the quality vector `[rows, features]`.
        """
        scores = tf.matmul(query.embedding, items.vectors, transpose_b=True)
        for feature, scale in self.fresh:
            scores += weights[:, feature, None] * freshness(
                items.created[None], query.timestamp[:, None], scale, TENSORFLOW
            )
        if self.counted:
            # An example before the first moment uses the first one, which is exact enough to draw by.
            moment = tf.maximum(tf.searchsorted(self.moments, query.timestamp, side="right") - 1, 0)
            table = self.table if items.ids is None else tf.gather(self.table, items.ids, axis=1)
            for column, feature in enumerate(self.counted):
                scores += weights[:, feature, None] * tf.gather(table[:, :, column], moment)
        return tf.stop_gradient(scores)
