"""Loss of retrieval over all tasks, each by the objective that its `negatives` declare."""

from collections.abc import Callable

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.candidate_rule import exists
from unified_ranker.tasks.encoded_state import EncodedQuery, Labels
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.objectives.base import ObjectiveKind, RetrievalBatch
from unified_ranker.towers.tensorflow import tf


class RetrievalObjective(tf.keras.layers.Layer):
    """Loss by which the query embedding finds the next items, by the objective of each example's task."""

    def __init__(self, config: Config, chosen: np.ndarray) -> None:
        """Build for the counts of each item's positives on each task, `chosen` `[tasks, items]`."""
        super().__init__(name="retrieval_objective")
        self.items = chosen.shape[1]
        groups: dict[ObjectiveKind, list[int]] = {}
        for number, task in enumerate(config.tasks.values(), start=1):
            groups.setdefault(task.negatives, []).append(number)
        # Those over the whole catalogue come first, because the seed of a random operation depends on those before it.
        ordered = sorted(groups.items(), key=lambda group: not group[0].whole_catalogue)
        self.groups = [numbers for _, numbers in ordered]
        # A row's negatives are the positives of its own group, so log-Q uses their shares.
        self.objectives = [
            kind.build(share_of(chosen[np.array(numbers) - 1]), config.project.training.temperature)
            for kind, numbers in ordered
        ]
        self.tasks = len(config.tasks)
        self.uniform = max(kind.draws for kind in groups)

    def set_progress(self, progress: Callable[[], tf.Tensor]) -> None:
        """Set the function that returns the finished share of the training, for objectives that depend on it."""
        for objective in self.objectives:
            objective.progress = progress

    def draw(self) -> tf.Tensor:
        """Draw the uniform items of a batch, `[uniform]`, shared by the tasks that sample."""
        return tf.random.uniform([self.uniform], 0, self.items, tf.int64)

    def call(self, query: EncodedQuery, labels: Labels, items: ItemVectors, drawn: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `[examples]`.

        Args:
            query: the examples, encoded.
            labels: labels of the examples.
            items: the items of the batch.
            drawn: result of `draw`, `[uniform]`.
        """
        losses = tf.zeros_like(labels.weight)
        decay = self._decay(query.timestamp, labels, items)
        batch = RetrievalBatch(query, labels, decay, items, drawn)
        for objective, numbers in zip(self.objectives, self.groups, strict=True):
            rows = self._rows(query.task, numbers)
            losses += tf.scatter_nd(rows[:, None], objective.of_rows(batch, rows), tf.shape(losses, tf.int64))
        return losses

    def _decay(self, time: tf.Tensor, labels: Labels, items: ItemVectors) -> tf.Tensor:
        """Return the decay `[examples, k]`, with 0 for later targets that did not exist yet; the own item stays."""
        existed = exists(items.created_at(labels.targets), time[:, None])
        own = tf.range(tf.shape(existed)[1])[None] == 0
        return labels.decay * tf.cast(existed | own, tf.float32)

    def _rows(self, task: tf.Tensor, numbers: list[int]) -> tf.Tensor:
        if len(numbers) == self.tasks:
            return tf.range(tf.shape(task, tf.int64)[0])
        return tf.where(tf.reduce_any(task[:, None] == tf.constant(numbers, task.dtype)[None], 1))[:, 0]


def share_of(chosen: np.ndarray) -> np.ndarray:
    """Return each item's share of all the positives of these tasks `[tasks, items]`, `[items]`."""
    counts = chosen.sum(0)
    return counts / max(counts.sum(), 1)
