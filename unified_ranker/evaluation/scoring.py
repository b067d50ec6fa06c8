"""The trained model over recorded requests: full-catalogue scores for evaluation, as of each request."""

from functools import cached_property
from typing import NamedTuple

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.traced_once import TracedOnce
from unified_ranker.model.lookups import look_up_events, look_up_examples
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import QualityAsOf
from unified_ranker.towers.context import RequestVectors
from unified_ranker.towers.tensorflow import tf
from unified_ranker.training.window_batches import EventIndices, ExampleIndices

CHUNK = 32
"""Requests that go through towers and head at once: the head's tensors of more, with hundreds of candidates each, leave
the processor's caches."""
PROPOSED = 1e6
"""Above any two-tower score."""


class EncodedChunk(NamedTuple):
    """A chunk of requests.

    Attributes:
        state: what the head takes.
        time: of each request, seconds `[chunk]`.
        likeness: of the two towers' vectors, `[chunk, items]`.
        scores: of retrieval, likeness and quality by its weights, `[chunk, items]`.
    """

    state: dict[str, tf.Tensor]
    time: np.ndarray
    likeness: np.ndarray
    scores: np.ndarray


class RequestEncoder:
    """Runs the towers over recorded requests; the last batch is kept, for a second scorer that asks for it."""

    def __init__(self, model: UnifiedRanker, prepared: Prepared, quality: QualityAsOf) -> None:
        """Build for requests drawn from `prepared`."""
        self.model, self.prepared, self.quality = model, prepared, quality
        self.vectors = model.item_vectors()
        self._events = look_up_events(prepared, model)
        self._encode = TracedOnce(
            lambda inputs: encode_requests(model, self.vectors, inputs), no_vectors=("history_value",)
        )
        self._last: tuple[Examples, list[EncodedChunk]] | None = None

    @cached_property
    def shortlists(self) -> "Shortlists":
        """What ranks the candidates of encoded requests; one for all, so that it is traced once."""
        return Shortlists(self)

    def chunks(self, requests: Examples) -> list[EncodedChunk]:
        """Return the requests in chunks of `CHUNK`, in their order."""
        if self._last is None or self._last[0] is not requests:
            looked_up, texts, strings = look_up_examples(self.prepared, requests, self.model)
            queries = self.model.text.embed(texts).numpy()
            words = self.model.signals.words(tf.constant(strings, tf.string)).numpy()
            parts = [np.arange(i, min(i + CHUNK, len(requests))) for i in range(0, len(requests), CHUNK)]
            self._last = requests, [self._chunk(requests.take(p), looked_up.take(p), queries, words) for p in parts]
        return self._last[1]

    def _chunk(
        self, requests: Examples, looked_up: ExampleIndices, queries: np.ndarray, words: np.ndarray
    ) -> EncodedChunk:
        inputs = request_inputs(requests, looked_up, self.prepared, self._events, self.model)
        inputs["query_vector"], inputs["words"] = queries[looked_up.query], words[looked_up.query]
        state = self._encode({name: tf.constant(column) for name, column in inputs.items()})
        weights = self.model.quality_weights.numpy()[looked_up.task]
        likeness = state["embedding"].numpy() @ self.vectors.numpy().T
        return EncodedChunk(
            state, requests.timestamp, likeness, likeness + self.quality.weighed(requests.timestamp, weights)
        )


class TwoTowerScorer:
    """Scores every item for recorded requests by the two towers and the quality vector: retrieval alone."""

    name = "two towers"
    note = "retrieval alone; no surface is answered by it"

    def __init__(self, encoder: RequestEncoder) -> None:
        """Score what `encoder` encodes."""
        self.tasks, self._encoder = tuple(encoder.model.config.tasks), encoder

    def score(self, requests: Examples) -> np.ndarray:
        """Return scores `[requests, items]`."""
        return np.concatenate([chunk.scores for chunk in self._encoder.chunks(requests)])


class JointScorer:
    """Scores as the service answers, full catalogue.

    What the signals propose and the two-tower score with quality puts first, `serving.candidates` in all, goes to the
    ranking head; what it did not see follows in the order of retrieval.
    """

    name = "joint model"

    def __init__(self, encoder: RequestEncoder, rules: CandidateRules) -> None:
        """Score what `encoder` encodes; `rules` say which items retrieval may hand on."""
        self.tasks, self._encoder, self._rules = tuple(encoder.model.config.tasks), encoder, rules

    def score(self, requests: Examples) -> np.ndarray:
        """Return scores `[requests, items]`; higher is better, and comparable within a row only."""
        allowed = self._rules.allowed(requests)
        chunks = self._encoder.chunks(requests)
        parts = [slice(i, i + CHUNK) for i in range(0, len(requests), CHUNK)]
        return np.concatenate(
            [self._score(chunk, requests.task[p], allowed[p]) for chunk, p in zip(chunks, parts, strict=True)]
        )

    def _score(self, chunk: EncodedChunk, tasks: np.ndarray, allowed: np.ndarray) -> np.ndarray:
        scores = chunk.scores.copy()
        for task in np.unique(tasks):
            rows = np.flatnonzero(tasks == task)
            chosen, ranked, _ = self._encoder.shortlists.rank(chunk, rows, task, allowed)
            # Ranked items stand above all others, in their own order.
            floor = scores[rows].max(axis=1, keepdims=True) + 1.0
            scores[rows[:, None], chosen] = ranked - ranked.min(axis=1, keepdims=True) + floor
        return scores


class Shortlists:
    """What retrieval and signals hand to the ranking head, and what it makes of them."""

    def __init__(self, encoder: RequestEncoder) -> None:
        """Rank for what `encoder` encodes."""
        self._model = model = encoder.model
        self._quality = encoder.quality

        def rank(state: dict, chosen: tf.Tensor, quality: tf.Tensor, *time: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
            signals = model.signals.features(state, chosen, *time)
            return model.rank(state, tf.gather(encoder.vectors, chosen), quality, signals)[:2]

        # One each: they differ in the number of their arguments.
        self._as_served, self._as_of = TracedOnce(rank), TracedOnce(rank)

    def rank(
        self, chunk: EncodedChunk, rows: np.ndarray, task: str, allowed: np.ndarray, time: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Choose and rank the candidates of requests of one task.

        Args:
            chunk: encoded requests.
            rows: which of them, `[n]`, all of `task`.
            task: its name; sets how many candidates there are.
            allowed: which items may answer, `[chunk, items]`.
            time: seconds `[chunk]`, for signals as of the request where it lies in the fit window itself; without, as
                they are served.

        Returns:
            Item indices `[n, candidates]`, their scores, and logits `[n, candidates, heads]`.
        """
        state = {name: tf.gather(value, rows) for name, value in chunk.state.items()}
        candidates = np.where(allowed[rows], chunk.scores[rows], -np.inf)
        proposals = self._model.proposals(state)
        moment = () if time is None else (tf.constant(time[rows]),)
        if moment:
            # The tables know the whole window: what they propose counts where something was to be seen by then.
            seen = self._model.signals.features(state, tf.maximum(proposals, 0), *moment)
            proposals = tf.where(tf.reduce_any(seen != 0, -1), proposals, -1)
        put_first(candidates, proposals.numpy())
        count = min(self._model.config.tasks[task].serving.candidates, candidates.shape[1])
        chosen = np.argpartition(-candidates, count - 1, axis=1)[:, :count]
        # Of the candidates alone: of the whole catalogue it costs more than ranking them.
        quality = self._quality.gather(chosen.reshape(-1), np.repeat(chunk.time[rows], count))
        quality = quality.reshape(*chosen.shape, len(self._quality.features))
        ranked = self._as_of if moment else self._as_served
        score, logits = ranked(state, tf.constant(chosen), tf.constant(quality), *moment)
        return chosen, score.numpy(), logits.numpy()


def encode_requests(model: UnifiedRanker, vectors: tf.Tensor, inputs: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    """Run user and context tower over requests with their histories; returns what the ranking head takes.

    Args:
        model: the trained model.
        vectors: vectors of the whole catalogue `[items, dim]`.
        inputs: see `request_inputs`, and of the query `query_vector` `[batch, dim]` and `words` `[batch, words]`.
    """
    inputs = model.visible(inputs)
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
        "words": inputs["words"],
        "source_item": source,
        "recent": inputs["recent"],
    }


def put_first(scores: np.ndarray, proposals: np.ndarray) -> None:
    """Raise the `proposals` `[batch, n]` (-1 = none) above all other items in `scores` `[batch, items]`, in place.

    Items at -inf may not answer, and stay there.
    """
    rows = np.repeat(np.arange(len(scores)), proposals.shape[1])
    columns = proposals.reshape(-1)
    known = columns >= 0
    chosen = np.zeros(scores.shape, bool)
    chosen[rows[known], columns[known]] = True
    scores[chosen & np.isfinite(scores)] += PROPOSED


def request_inputs(
    requests: Examples, looked_up: ExampleIndices, prepared: Prepared, events: EventIndices, model: UnifiedRanker
) -> dict[str, np.ndarray]:
    """Return the towers' inputs for requests, with their last `history_length` events, oldest first, padded behind."""
    length = model.config.towers.user.history_length
    windows = prepared.histories.windows(requests.user, requests.history_length, length, width=1)
    return {
        **events.at(windows),
        "length": windows.length,
        "user": np.where(requests.user == MISSING, len(prepared.users), requests.user),
        "task": looked_up.task,
        "source": looked_up.source,
        "country": looked_up.country,
        "previous_task": looked_up.previous_task,
        "gap": looked_up.gap,
        "timestamp": requests.timestamp,
        "recent": model.signals.past.before(requests.user, requests.timestamp),
    }
