"""Multi-task ranking head: one logit for each candidate of a request and each head."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unified_ranker.config import RankerSettings
from unified_ranker.tasks.candidate_cross import CandidateCross
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class CandidateColumns:
    """Inputs of the head for the candidates of requests, in the order in which the crosses take them.

    The first three are the candidate's vector, and its products with the query embedding and the source's vector.

    Attributes:
        items: vectors of the candidates, `[batch, n, dim]`.
        state: the requests.
        recalled: vectors times what the candidate recalls of the history, `[batch, n, dim]`.
        context: of the requests, `[batch, dim]`.
        numbers: all other numbers of a candidate, `[batch, n, numbers]`.
    """

    items: tf.Tensor
    state: EncodedState
    recalled: tf.Tensor
    context: tf.Tensor
    numbers: tf.Tensor

    def side_by_side(self) -> tf.Tensor:
        """Return all columns of all candidates of all requests, `[batch * n, width]`."""
        columns = [
            self.items,
            self.items * self.state.embedding[:, None],
            self.items * self.state.source[:, None],
            self.recalled,
            tf.repeat(self.context[:, None], tf.shape(self.items)[1], 1),
            self.numbers,
        ]
        return _flat(tf.concat(columns, -1))

    def times(self, kernel: tf.Tensor) -> tf.Tensor:
        """Return the product of `side_by_side` and a matrix `[width, rank]`, `[batch * n, rank]`.

        Three products with a candidate's vector are one, with a matrix of the request, and the context's is one for all
        candidates.
        """
        dim = self.items.shape[-1]
        own, embedded, source, recalled, context, numbers = tf.split(kernel, [dim] * 5 + [self.numbers.shape[-1]])
        by_request = own + self.state.embedding[..., None] * embedded + self.state.source[..., None] * source
        of_items = tf.matmul(self.items, by_request) + tf.matmul(self.context, context)[:, None]
        return _flat(of_items) + tf.matmul(_flat(self.recalled), recalled) + tf.matmul(_flat(self.numbers), numbers)


class MultiTaskHead(tf.keras.layers.Layer):
    """Crosses of request and candidate, experts gated by task, one output per event type.

    Experts are shared by all tasks (MMoE, KDD 2018); in PLE each task has some of its own besides (RecSys 2020, section
    4.1, one extraction layer); a shared bottom has none.

    Each logit is the retrieval score, scaled per task and head, plus a linear part of quality and signals for each
    task, plus what the crosses add. Both additions begin at zero, so that the ranker starts with the ranking
    of retrieval; a task with few examples learns its linear part first.

    Trained on few examples, both additions are over-confident. Outside of training they are therefore multiplied by the
    ranking strength of the request's task. Crosses overfit few examples, because a request's context identifies it, so
    a task can leave them out.
    """

    def __init__(
        self,
        config: RankerSettings,
        strengths: Sequence[float],
        with_crosses: Sequence[bool],
        ranks: Sequence[bool],
        dim: int,
        direct: int,
        temperature: float,
    ) -> None:
        """Build for vectors of `dim` and `direct` numbers a candidate.

        `strengths` and `with_crosses` have one for each surface, the first for task 1; `ranks` says of each head
        whether it ranks (see `HeadKind.ranks`). Others begin without the retrieval score, and no strength scales them.
        """
        super().__init__(name="ranking_head")
        self.config, tasks, heads = config, len(strengths), len(ranks)
        ranking = np.array(ranks, bool)[None]
        self.strength = tf.constant(np.where(ranking, np.array([1.0, *strengths])[:, None], 1.0), tf.float32)
        # None if every task uses crosses, or the model has none: the graph then needs no mask.
        plain = all(with_crosses) or not config.cross_layers
        self.with_crosses = None if plain else tf.constant([1.0, *with_crosses], tf.float32)
        self.crosses = [CandidateCross(projection_dim=dim) for _ in range(config.cross_layers)]
        self.reduce = tf.keras.layers.Dense(2 * config.hidden, activation="gelu")
        if config.type != "shared_bottom":
            own = config.own_experts if config.type == "ple" else 0
            self.experts = tf.keras.layers.Dense(config.experts * config.hidden, activation="gelu")
            self.gate = self.add_weight("gate", (tasks + 1, config.experts + own), initializer="zeros")
        if config.type == "ple":
            self._add_own_experts(tasks)
        self.heads = tf.keras.layers.Dense(heads, kernel_initializer="zeros")
        self.retrieval_scale = self.add_weight(
            "retrieval_scale",
            (tasks + 1, heads),
            initializer=tf.constant_initializer(np.repeat(ranking / temperature, tasks + 1, axis=0)),
        )
        self.direct = self.add_weight("direct", (tasks + 1, direct, heads), initializer="zeros")
        self.attention = tf.keras.layers.Dense(dim, use_bias=False)
        self.context = tf.keras.layers.Dense(dim, activation="gelu")
        self.dropout = tf.keras.layers.Dropout(config.dropout)

    def call(
        self,
        state: EncodedState,
        items: tf.Tensor,
        quality: tf.Tensor,
        signals: tf.Tensor,
        retrieval: tf.Tensor,
        training: bool = False,
    ) -> tf.Tensor:
        """Return logits `[batch, candidates, heads]`.

        Args:
            state: the requests.
            items: candidate vectors `[batch, candidates, dim]`.
            quality: quality features as of the request `[batch, candidates, features]`.
            signals: features of the signals `[batch, candidates, channels]`.
            retrieval: two-tower scores `[batch, candidates]`.
            training: whether dropout is on; the strength of every task is then 1.
        """
        count = tf.shape(items)[1]
        attended, closest = self._attend(items, state.history, state.history_mask)
        direct = tf.concat([quality, signals], -1)
        likeness = tf.matmul(items, state.source[..., None])
        columns = CandidateColumns(
            items=items,
            state=state,
            recalled=items * attended,
            context=self.context(state.context),
            numbers=tf.concat([direct, retrieval[..., None], closest[..., None], likeness], -1),
        )
        # Flat, because TensorFlow has one operation for product, bias and activation of a matrix, which takes half the
        # time of the three that it has for more dimensions.
        batch, features = tf.shape(items)[0], columns.side_by_side()
        crossed = features
        for number, cross in enumerate(self.crosses):
            crossed = cross(features, crossed) if number else cross(features, project=columns.times)
        if self.with_crosses is not None:
            own = tf.repeat(tf.gather(self.with_crosses, state.task), count)
            crossed = features + own[:, None] * (crossed - features)
        shared = self.dropout(self.reduce(crossed), training=training)
        scale = tf.gather(self.retrieval_scale, state.task)
        if self.config.type == "shared_bottom":
            learnt = tf.reshape(self.heads(shared), [batch, count, self.heads.units])
        else:
            learnt = self._mix(shared, state.task, count)
        added = learnt + tf.matmul(direct, tf.gather(self.direct, state.task))
        if not training:
            added *= tf.gather(self.strength, state.task)[:, None]
        return added + retrieval[..., None] * scale[:, None]

    def _add_own_experts(self, tasks: int) -> None:
        """Make the experts of each task; those of the unknown task are zero and add nothing."""
        width, out = 2 * self.config.hidden, self.config.own_experts * self.config.hidden
        # A new initializer for each task, because one initializer would return the same weights again.
        drawn = [tf.keras.initializers.GlorotUniform()([width, out]) for _ in range(tasks)]
        kernels = tf.stack([tf.zeros([width, out]), *drawn])
        self.own_kernel = self.add_weight("own_kernel", kernels.shape, initializer=lambda *_, **__: kernels)
        self.own_bias = self.add_weight("own_bias", (tasks + 1, 1, out), initializer="zeros")

    def _mix(self, shared: tf.Tensor, task: tf.Tensor, count: tf.Tensor) -> tf.Tensor:
        """Return the logits of the experts, weighted by the gates of each request's task, `[batch, candidates, heads]`.

        The heads are linear and the gates sum to 1, so a request's gates are a factor of the heads, in place of one of
        the experts' wide outputs. `shared` is `[batch * candidates, width]`.
        """
        hidden, batch = self.config.hidden, tf.shape(task)[0]
        experts = self.experts(shared)
        experts = tf.reshape(experts, [batch, count, experts.shape[-1]])
        if self.config.type == "ple":
            own = tf.reshape(shared, [batch, count, shared.shape[-1]])
            own = tf.matmul(own, tf.gather(self.own_kernel, task)) + tf.gather(self.own_bias, task)
            experts = tf.concat([experts, tf.nn.gelu(own)], -1)
        if not self.heads.built:
            self.heads(tf.zeros([1, hidden]))
        gate = tf.nn.softmax(tf.gather(self.gate, task))
        gated = tf.reshape(gate[..., None, None] * self.heads.kernel, [batch, experts.shape[-1], self.heads.units])
        return tf.matmul(experts, gated) + self.heads.bias

    def _attend(self, items: tf.Tensor, history: tf.Tensor, mask: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return candidates' attention over the history `[batch, candidates, dim]`, and its largest cosine or 0."""
        if not self.attention.built:
            self.attention(history)
        present = tf.cast(mask, tf.float32)
        # Zeros where there is no event, so that a request with no history attends to nothing.
        history *= present[..., None]
        # The matrix is applied to the few events, and not to the many candidates.
        keys = tf.tensordot(history, self.attention.kernel, [[2], [1]])
        weights = tf.nn.softmax(tf.matmul(items, keys, transpose_b=True) + (present - 1.0)[:, None] * 1e9)
        # At least 0, so that padding does not change it.
        closest = tf.nn.relu(tf.reduce_max(tf.matmul(items, history, transpose_b=True), 2))
        return tf.matmul(weights, history), closest


def _flat(values: tf.Tensor) -> tf.Tensor:
    """Return `[batch, n, width]` as `[batch * n, width]`."""
    return tf.reshape(values, [-1, values.shape[-1]])
