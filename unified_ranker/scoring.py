"""The trained model over recorded requests: full-catalogue scores for evaluation, as of each request."""

import numpy as np

from unified_ranker.data.batches import EventIndices, ExampleIndices
from unified_ranker.data.examples import MISSING, Examples
from unified_ranker.data.prepared import Prepared
from unified_ranker.data.quality import QualityAsOf
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.lookups import look_up_events, look_up_examples
from unified_ranker.ranker import UnifiedRanker
from unified_ranker.tensorflow import tf
from unified_ranker.towers.context import RequestVectors

CHUNK = 256
"""Requests that go through the towers at once."""


class ModelScorer:
    """Scores every item for recorded requests, by the two towers alone or with the ranking head on top.

    The stages are those of the service: the two-tower score with quality orders the allowed items, the first
    `serving.candidates` of them go to the ranking head, and what it did not see follows in the order of retrieval.
    """

    def __init__(
        self, model: UnifiedRanker, prepared: Prepared, quality: QualityAsOf, rules: CandidateRules, ranked: bool
    ) -> None:
        """Build for requests drawn from `prepared`; `ranked` adds the ranking head."""
        self.name = "joint model" if ranked else "two towers"
        self.tasks = tuple(model.config.tasks)
        self._model, self._prepared, self._quality = model, prepared, quality
        self._rules, self._ranked = rules, ranked
        self._events = look_up_events(prepared, model)
        self._vectors = model.item_vectors()
        self._encode = tf.function(self._encode_graph, reduce_retracing=True)
        self._rank = tf.function(self._rank_graph, reduce_retracing=True)

    def score(self, requests: Examples) -> np.ndarray:
        """Return scores `[requests, items]`; higher is better, and comparable within a row only."""
        looked_up, texts = look_up_examples(self._prepared, requests, self._model)
        queries = self._model.text.embed(texts).numpy()
        out = np.empty((len(requests), len(self._prepared.items)), np.float32)
        for start in range(0, len(requests), CHUNK):
            rows = np.arange(start, min(start + CHUNK, len(requests)))
            out[rows] = self._score(requests.take(rows), looked_up.take(rows), queries)
        return out

    def _score(self, requests: Examples, looked_up: ExampleIndices, queries: np.ndarray) -> np.ndarray:
        inputs = request_inputs(requests, looked_up, self._prepared, self._events, self._model)
        inputs["query_vector"] = queries[looked_up.query]
        state = self._encode({name: tf.constant(column) for name, column in inputs.items()})
        quality = self._quality.matrix(requests.timestamp)
        weights = self._model.quality_weights.numpy()[looked_up.task]
        scores = state["embedding"].numpy() @ self._vectors.numpy().T + np.einsum("bq,bnq->bn", weights, quality)
        if not self._ranked:
            return scores
        allowed = np.where(self._rules.allowed(requests), scores, -np.inf)
        for task in np.unique(requests.task):
            rows = np.flatnonzero(requests.task == task)
            count = min(self._model.config.tasks[task].serving.candidates, scores.shape[1])
            chosen = np.argpartition(-allowed[rows], count - 1, axis=1)[:, :count]
            ranked = self._rank(
                {name: tf.gather(value, rows) for name, value in state.items()},
                tf.constant(chosen),
                tf.constant(np.take_along_axis(quality[rows], chosen[..., None], axis=1)),
            ).numpy()
            # Ranked items stand above all others: cosine and quality bound the latter.
            floor = scores[rows].max(axis=1, keepdims=True) + 1.0
            lifted = ranked - ranked.min(axis=1, keepdims=True) + floor
            scores[rows[:, None], chosen] = lifted
        return scores

    def _encode_graph(self, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return encode_requests(self._model, self._vectors, inputs)

    def _rank_graph(self, state: dict[str, tf.Tensor], chosen: tf.Tensor, quality: tf.Tensor) -> tf.Tensor:
        score, _, _ = self._model.rank(state, tf.gather(self._vectors, chosen), quality)
        return score


def encode_requests(model: UnifiedRanker, vectors: tf.Tensor, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Run user and context tower over requests with their histories; returns what the ranking head takes.

    Args:
        model: the trained model.
        vectors: vectors of the whole catalogue `[items, dim]`.
        inputs: see `request_inputs`, and `query_vector` `[batch, dim]`, the embedded query.
    """
    item = inputs["history_item"]
    mask = item >= 0
    history = tf.gather(vectors, tf.maximum(item, 0)) * tf.cast(mask, tf.float32)[..., None]
    states = model.user_tower(
        history,
        {k: inputs[f"history_{k}"] for k in ("event_type", "task", "gap", "value")},
        {k: tf.gather(v, inputs["user"]) for k, v in model.profiles.items()},
    )
    source = inputs["source"]
    request = RequestVectors(
        user=tf.gather(states, inputs["length"], batch_dims=1),
        query=inputs["query_vector"],
        source=tf.gather(vectors, tf.maximum(source, 0)) * tf.cast(source >= 0, tf.float32)[:, None],
        task=inputs["task"],
        country=inputs["country"],
        previous_task=inputs["previous_task"],
        timestamp=inputs["timestamp"],
        gap=inputs["gap"],
    )
    embedding, context = model.context_tower(request)
    return {
        "embedding": embedding,
        "source": model.context_tower.visible(request).source,
        "context": context,
        "task": inputs["task"],
        "history": history,
        "history_mask": mask,
    }


def request_inputs(
    requests: Examples, looked_up: ExampleIndices, prepared: Prepared, events: EventIndices, model: UnifiedRanker
) -> dict[str, np.ndarray]:
    """Return the towers' inputs for requests, with their last `history_length` events, oldest first, padded behind."""
    length = model.config.towers.user.history_length
    lengths = np.minimum(requests.history_length, length)
    width = max(int(lengths.max(initial=0)), 1)
    begin = np.where(requests.user == MISSING, 0, prepared.histories.offsets[requests.user])
    column = np.arange(width)[None]
    inside = column < lengths[:, None]
    at = np.where(inside, (begin + requests.history_length - lengths)[:, None] + column, 0)
    return {
        **events.at(at, inside),
        "length": lengths,
        "user": np.where(requests.user == MISSING, len(prepared.users), requests.user),
        "task": looked_up.task,
        "source": looked_up.source,
        "country": looked_up.country,
        "previous_task": looked_up.previous_task,
        "gap": looked_up.gap,
        "timestamp": requests.timestamp,
    }
