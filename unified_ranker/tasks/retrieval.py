"""The retrieval objective: the query embedding finds the item, by each task's declared negatives."""

from collections.abc import Callable

import numpy as np

from unified_ranker.config import Config, SampledItems
from unified_ranker.core.candidate_rule import exists
from unified_ranker.tasks.encoded_state import EncodedQuery, Labels
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.tasks.losses import softmax_over_items
from unified_ranker.tasks.negatives import SampledRetrieval
from unified_ranker.towers.tensorflow import tf


class RetrievalObjective(tf.keras.layers.Layer):
    """Softmax of each example's next items among all items, or among sampled ones, as its task declares."""

    def __init__(self, config: Config, chosen: np.ndarray) -> None:
        """Build for items that were a positive of each task so often, `[tasks, items]`."""
        super().__init__(name="retrieval_objective")
        self.temperature, self.items = config.project.training.temperature, chosen.shape[1]
        groups: dict[SampledItems, list[int]] = {}
        self.exact: list[int] = []
        for number, task in enumerate(config.tasks.values(), start=1):
            if isinstance(task.negatives, SampledItems):
                groups.setdefault(task.negatives, []).append(number)
            else:
                self.exact.append(number)
        self.groups = list(groups.values())
        # A row's negatives are the positives of its own group: theirs is the share that corrects.
        self.samplers = [
            SampledRetrieval(kind, share_of(chosen[np.array(numbers) - 1]), self.temperature)
            for kind, numbers in groups.items()
        ]
        self.tasks = len(config.tasks)
        self.uniform = max((kind.uniform for kind in groups), default=0)

    def follow(self, progress: Callable[[], tf.Tensor]) -> None:
        """Have negatives that ramp up ask `progress` which share of the training is done."""
        for sampler in self.samplers:
            sampler.progress = progress

    def draw(self) -> tf.Tensor:
        """Draw the uniform items of a batch, `[uniform]`, shared by the tasks that sample."""
        return tf.random.uniform([self.uniform], 0, self.items, tf.int64)

    def call(self, query: EncodedQuery, labels: Labels, items: ItemVectors, drawn: tf.Tensor) -> tf.Tensor:
        """Return the loss of each example, `[examples]`.

        Args:
            query: the examples, encoded.
            labels: what came of them.
            items: the items of the batch.
            drawn: what `draw` drew.
        """
        losses = tf.zeros_like(labels.weight)
        decay = self._decay(query.timestamp, labels, items)
        if self.exact:
            # Rows are picked of the embedding: of the scores, the gradient alone would be as wide as the catalogue.
            rows = self._rows(query.task, self.exact)
            exact = softmax_over_items(
                tf.gather(query.embedding, rows) / self.temperature,
                items.vectors,
                tf.gather(items.place(labels.targets), rows),
                tf.gather(decay, rows),
                exists(items.created[None], tf.gather(query.timestamp, rows)[:, None]),
            )
            losses += tf.scatter_nd(rows[:, None], exact, tf.shape(losses, tf.int64))
        for sampler, numbers in zip(self.samplers, self.groups, strict=True):
            rows = self._rows(query.task, numbers)
            target = draw_target(tf.gather(labels.targets, rows), tf.gather(decay, rows))
            ids = tf.concat([target, drawn[: sampler.config.uniform]], 0)
            existed = exists(items.created_at(ids)[None], tf.gather(query.timestamp, rows)[:, None])
            sampled = sampler(tf.gather(query.embedding, rows), items.at(ids), ids, existed)
            losses += tf.scatter_nd(rows[:, None], sampled, tf.shape(losses, tf.int64))
        return losses

    def _decay(self, time: tf.Tensor, labels: Labels, items: ItemVectors) -> tf.Tensor:
        """Drop later targets `[examples, k]` that did not exist yet; the example's own item stays in any case."""
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


def draw_target(targets: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
    """Draw one of the next items `[examples, k]` in proportion to its weight: next-k in expectation, `[examples]`."""
    if targets.shape[1] == 1:
        return targets[:, 0]
    logits = tf.where(targets >= 0, tf.math.log(tf.maximum(weights, 1e-20)), -1e9)
    noise = -tf.math.log(-tf.math.log(tf.random.uniform(tf.shape(logits), 1e-9, 1.0)))
    return tf.gather(targets, tf.argmax(logits + noise, 1), batch_dims=1)
