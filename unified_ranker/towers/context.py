"""Context tower: from the user state and the fields of the request to the query embedding."""

from dataclasses import dataclass, replace

import numpy as np

from unified_ranker.config import ContextTower
from unified_ranker.prepare.vocabulary import Vocabulary
from unified_ranker.towers.category_table import CategoryTable
from unified_ranker.towers.lookup import NameTable
from unified_ranker.towers.tensorflow import tf, tfrs
from unified_ranker.towers.time import GAP_BUCKETS, clock_channels, gap_bucket


@dataclass(frozen=True)
class RequestVectors:
    """Requests after look-up and imputation, all batch first.

    `user`, `query` and `source` are `[batch, dim]` (zero when absent); the rest are `[batch]`: indices, and times in
    seconds. `gap` is the time since the user's last event, -1 without one.
    """

    user: tf.Tensor
    query: tf.Tensor
    source: tf.Tensor
    task: tf.Tensor
    country: tf.Tensor
    previous_task: tf.Tensor
    timestamp: tf.Tensor
    gap: tf.Tensor


HIDEABLE = {
    "query": "query",
    "source_item": "source",
    "country": "country",
    "task": "task",
    "previous_task": "previous_task",
}
"""Fields of towers/context.yaml and the parts of `RequestVectors` that they turn off; `time` turns off a summand."""


class ContextEncoder(tf.keras.layers.Layer):
    """Query embedding: normalise(gates[task] · (user, query, source) + MLP(cross(all parts))).

    User, query and source are also added directly, weighted by task, so that words of a query match the same words of
    a title. The crosses (DCN-v2, arXiv 2008.13535) and the task id let one network serve all surfaces (UniCoRn, arXiv
    2408.10394, section 3: quality falls without either).
    """

    def __init__(self, config: ContextTower, vocabulary: Vocabulary, dim: int, categories: CategoryTable) -> None:
        """Build for vectors of `dim`."""
        super().__init__(name="context_tower")
        self.fields, self.categories = frozenset(config.fields), categories
        self.tasks = NameTable(vocabulary.tasks, dim, "tasks")
        self.previous = NameTable(vocabulary.tasks, dim, "previous_task")
        self.gaps = self.add_weight("gaps", (GAP_BUCKETS + 1, dim), initializer="zeros")
        self.clock = tf.keras.layers.Dense(dim)
        asked = config.asked_gate
        begin = tf.constant_initializer(np.tile([1.0, asked, asked], len(vocabulary.tasks) + 1))
        self.gates = self.add_weight("gates", (len(vocabulary.tasks) + 1, 3), initializer=begin)
        self.project = tf.keras.layers.Dense(dim)
        self.crosses = [
            tfrs.layers.dcn.Cross(projection_dim=dim, kernel_initializer="glorot_uniform")
            for _ in range(config.cross_layers)
        ]
        self.hidden = tf.keras.layers.Dense(2 * dim, activation="gelu")
        self.out = tf.keras.layers.Dense(dim)

    def visible(self, request: RequestVectors) -> RequestVectors:
        """Return the requests with zeros for the fields that towers/context.yaml does not list."""
        hidden = [part for field, part in HIDEABLE.items() if field not in self.fields]
        return replace(request, **{part: tf.zeros_like(getattr(request, part)) for part in hidden})

    def call(self, request: RequestVectors) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the query embedding `[batch, dim]`, of unit length, and the context state `[batch, 2 dim]`."""
        request = self.visible(request)
        query, source = request.query, request.source
        surroundings = (
            self.tasks.embed(request.task)
            + self.categories.embed(request.country)
            + self.previous.embed(request.previous_task)
        )
        if "time" in self.fields:
            gap = tf.where(request.gap < 0, GAP_BUCKETS, gap_bucket(request.gap))
            surroundings += self.clock(clock_channels(request.timestamp)) + tf.gather(self.gaps, gap)
        parts = tf.concat([request.user, query, source, surroundings], 1)
        crossed = parts
        for cross in self.crosses:
            crossed = cross(parts, crossed)
        state = self.hidden(crossed)
        gates = tf.gather(self.gates, request.task)
        total = (
            gates[:, 0:1] * self.project(request.user)
            + gates[:, 1:2] * query
            + gates[:, 2:3] * source
            + self.out(state)
        )
        return tf.math.l2_normalize(total, 1), state
