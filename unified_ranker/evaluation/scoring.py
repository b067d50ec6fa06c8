"""Scores of the trained model for recorded requests over the full catalogue, as of each request."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import NamedTuple

import numpy as np

from unified_ranker.core.array_module import NUMPY
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.core.proposal_rule import proposed_mask, raised
from unified_ranker.evaluation.candidates import CandidateRules
from unified_ranker.evaluation.metrics import decisive, rank_of_target
from unified_ranker.evaluation.results import JOINT
from unified_ranker.model.encode import encode_requests
from unified_ranker.model.inputs import RequestIndices
from unified_ranker.model.lookups import look_up_events, look_up_requests
from unified_ranker.model.ranker import UnifiedRanker
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.prepare.quality import TRENDING, QualityAsOf
from unified_ranker.signals.base import SignalRequest
from unified_ranker.tasks.encoded_state import EncodedState
from unified_ranker.tasks.item_vectors import ItemVectors
from unified_ranker.towers.history import HistoryWindows
from unified_ranker.towers.tensorflow import tf

CHUNK = 32
"""Requests that are scored at once. With hundreds of candidates each, the tensors of more requests do not fit in the
processor's caches."""


class EncodedChunk(NamedTuple):
    """A chunk of requests.

    Attributes:
        state: the requests, encoded.
        time: of each request, seconds `[chunk]`.
        cosines: of the two towers' vectors, `[chunk, items]`.
        scores: of retrieval, which are the cosines plus the weighted quality, `[chunk, items]`.
    """

    state: EncodedState
    time: np.ndarray
    cosines: np.ndarray
    scores: np.ndarray


class RequestEncoder:
    """Runs the towers over recorded requests, and keeps the last batch for the next scorer of the same requests."""

    def __init__(self, model: UnifiedRanker, prepared: Prepared, quality: QualityAsOf) -> None:
        """Build for requests drawn from `prepared`."""
        self.model, self.prepared, self.quality = model, prepared, quality
        self.vectors = tf.Variable(model.catalogue_vectors(), trainable=False, name="vectors")
        self._events = look_up_events(prepared, model)
        items, dim = ItemVectors(None, self.vectors, model.created), model.config.towers.item.dim
        # Traced once, because tracing takes as long as encoding a thousand requests.
        self._encode = tf.function(
            lambda windows, request, query, signals: encode_requests(model, windows, request, query, signals, items),
            input_signature=[
                HistoryWindows.spec(), RequestIndices.spec(), tf.TensorSpec([None, dim]), SignalRequest.spec()
            ],
            autograph=False,
        )  # fmt: skip
        self._last: tuple[Examples, list[EncodedChunk]] | None = None

    @cached_property
    def candidate_ranker(self) -> "CandidateRanker":
        """Ranker of the candidates of encoded requests; all scorers share it, so that it is traced once."""
        return CandidateRanker(self)

    def refresh(self) -> None:
        """Read the model's weights again, which have changed."""
        self.vectors.assign(self.model.catalogue_vectors())
        self.__dict__.pop("_transposed", None)
        self._last = None

    @cached_property
    def _transposed(self) -> np.ndarray:
        """Vectors of the items for products with queries, `[dim, items]`."""
        return self.vectors.numpy().T

    def chunks(self, requests: Examples) -> list[EncodedChunk]:
        """Return the requests in chunks of `CHUNK`, in their order."""
        if self._last is None or self._last[0] is not requests:
            parts = [np.arange(i, min(i + CHUNK, len(requests))) for i in range(0, len(requests), CHUNK)]
            both = zip(self.states(requests, parts), parts, strict=True)
            self._last = requests, [self._chunk(state, requests.take(rows)) for state, rows in both]
        return self._last[1]

    def states(self, requests: Examples, parts: Sequence[Ints]) -> Iterator[EncodedState]:
        """Yield the encoded requests of each part, which are rows of `requests`."""
        model, prepared = self.model, self.prepared
        looked_up, queries = look_up_requests(prepared, requests, model)
        vectors = model.text.embed(queries.tokens).numpy()
        words = model.signals.words(tf.constant(queries.texts, tf.string)).numpy()
        length = model.config.towers.user.history_length
        for rows in parts:
            own, request, number = requests.take(rows), looked_up.take(rows), queries.number[rows]
            past = prepared.histories.windows(own.user, own.history_length, length, width=1)
            user = np.where(own.user == MISSING, len(prepared.users), own.user)
            recent = model.signals.past.before(own.user, own.timestamp)
            arguments = (
                HistoryWindows(user, self._events.in_windows(past)),
                replace(request, position=past.length),
                vectors[number],
                SignalRequest(words[number], request.source, *recent, request.task, request.timestamp),
            )
            yield self._encode(*tf.nest.map_structure(tf.constant, arguments))

    def _chunk(self, state: EncodedState, requests: Examples) -> EncodedChunk:
        weights = self.model.quality_weights.numpy()[state.task.numpy()]
        cosines = state.embedding.numpy() @ self._transposed
        return EncodedChunk(
            state, requests.timestamp, cosines, cosines + self.quality.weighted_sum(requests.timestamp, weights)
        )


class TwoTowerScorer:
    """Scores every item for recorded requests by the two towers and the quality vector: retrieval alone."""

    name = "two towers"
    note = "retrieval alone; the service ranks its candidates with the joint model"

    def __init__(self, encoder: RequestEncoder) -> None:
        """Score what `encoder` encodes."""
        self.tasks, self._encoder = tuple(encoder.model.config.tasks), encoder

    def score(self, requests: Examples) -> np.ndarray:
        """Return scores `[requests, items]`."""
        return np.concatenate([chunk.scores for chunk in self._encoder.chunks(requests)])


class JointScorer:
    """Scores as the service answers, full catalogue.

    The ranking head scores `serving.candidates` items: the proposals of the signals, then those with the highest
    retrieval score. All other items follow in the order of retrieval.
    """

    name = JOINT

    def __init__(self, encoder: RequestEncoder, rules: CandidateRules) -> None:
        """Score what `encoder` encodes; `rules` give the candidates of each request."""
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
            ranked = self._encoder.candidate_ranker.rank(chunk, rows, task, allowed)
            # Ranked items stand above all others, in their own order.
            floor = scores[rows].max(axis=1, keepdims=True) + 1.0
            above = ranked.scores - ranked.scores.min(axis=1, keepdims=True) + floor
            kept = np.take_along_axis(scores[rows], ranked.items, 1)
            scores[rows[:, None], ranked.items] = np.where(ranked.present, above, kept)
        return scores


class ScoredCandidates(NamedTuple):
    """Candidates of some requests of one task, ranked.

    Attributes:
        items: their indices, `[n, candidates]`.
        scores: as served, `[n, candidates]`; in the fit window itself those of the head alone.
        logits: of the heads, `[n, candidates, heads]`.
        present: which of them may answer, `[n, candidates]`: where few may, others fill the slots up.
        channels: what the blend read of them, `[n, candidates, channels]`; of no width in the fit window itself.
    """

    items: np.ndarray
    scores: np.ndarray
    logits: np.ndarray
    present: np.ndarray
    channels: np.ndarray

    def position_of(self, items: Ints) -> Ints:
        """Return the position of each request's item `[n]` among its candidates, `[n]`; -1 where it is none of them."""
        same = (self.items == items[:, None]) & self.present
        return np.where(same.any(1), same.argmax(1), MISSING)

    def ndcg(self, items: Ints) -> np.ndarray:
        """Return NDCG@10 of requests that ended with `items` `[n]`, `[n]`; 0 where it is no candidate."""
        return decisive(rank_of_target(self.scores, self.position_of(items), self.present))


class CandidateRanker:
    """Ranking of the candidates that retrieval and signals pass to the ranking head."""

    def __init__(self, encoder: RequestEncoder) -> None:
        """Rank for what `encoder` encodes."""
        self._model = model = encoder.model
        self._quality = encoder.quality

        def as_served(
            state: EncodedState, chosen: tf.Tensor, quality: tf.Tensor, present: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
            found = model.scored(state, chosen, tf.gather(encoder.vectors, chosen), quality, present)
            return found.score, found.logits, found.channels

        def as_of(
            state: EncodedState, chosen: tf.Tensor, quality: tf.Tensor, time: tf.Tensor
        ) -> tuple[tf.Tensor, tf.Tensor]:
            signals = model.signals.features(state.signals, chosen, time)
            return model.rank(state, tf.gather(encoder.vectors, chosen), quality, signals)[:2]

        def proposals_as_of(state: EncodedState, time: tf.Tensor) -> tf.Tensor:
            proposals = model.signals.proposals(state.signals)
            # The tables know the whole window: what they propose counts where something was to be seen by then.
            seen = model.signals.features(state.signals, tf.maximum(proposals, 0), time)
            return tf.where(tf.reduce_any(seen != 0, -1), proposals, tf.constant(MISSING, tf.int64))

        towers, indices = model.config.towers, tf.TensorSpec([None, None], tf.int64)
        signature = [EncodedState.spec(towers.item.dim), indices, tf.TensorSpec([None, None, len(towers.item.quality)])]
        # Traced once for any number of requests and candidates, with and without a moment.
        present, moment = tf.TensorSpec([None, None], tf.bool), tf.TensorSpec([None], tf.int64)
        self._as_served = tf.function(as_served, input_signature=[*signature, present], autograph=False)
        self._as_of = tf.function(as_of, input_signature=[*signature, moment], autograph=False)
        trending = tf.TensorSpec([None, len(towers.item.popularities), TRENDING], tf.int64)
        self._propose = tf.function(model.proposals, input_signature=[signature[0], trending], autograph=False)
        self._propose_as_of = tf.function(proposals_as_of, input_signature=[signature[0], moment], autograph=False)

    def rank(
        self,
        chunk: EncodedChunk,
        rows: np.ndarray,
        task: str,
        allowed: np.ndarray,
        time: np.ndarray | None = None,
        counts_age: int = 0,
    ) -> ScoredCandidates:
        """Choose and rank the candidates of requests of one task.

        Args:
            chunk: encoded requests.
            rows: which of them, `[n]`, all of `task`.
            task: its name; sets how many candidates there are.
            allowed: which items may answer, `[chunk, items]`.
            time: seconds `[chunk]`, for signals as of the request where it lies in the fit window itself; without, as
                they are served.
            counts_age: seconds by which the counts within a window, and the most popular items, are old.
        """
        state = chunk.state.at(rows)
        candidates = np.where(allowed[rows], chunk.scores[rows], -np.inf)
        proposals = self._proposals(state, None if time is None else time[rows], chunk.time[rows] - counts_age)
        candidates = raised(candidates, proposed_mask(proposals, candidates.shape[1]), NUMPY)
        count = min(self._model.config.tasks[task].serving.candidates, candidates.shape[1])
        chosen = np.argpartition(-candidates, count - 1, axis=1)[:, :count]
        present = np.isfinite(np.take_along_axis(candidates, chosen, 1))
        # Of the candidates alone: of the whole catalogue it costs more than ranking them.
        quality = self._quality.gather(chosen.reshape(-1), np.repeat(chunk.time[rows], count), counts_age)
        quality = quality.reshape(*chosen.shape, len(self._quality.features))
        inputs = state, tf.constant(chosen), tf.constant(quality)
        if time is not None:
            scores, logits = (found.numpy() for found in self._as_of(*inputs, tf.constant(time[rows])))
            return ScoredCandidates(chosen, scores, logits, present, np.zeros((*chosen.shape, 0), np.float32))
        scores, logits, channels = (found.numpy() for found in self._as_served(*inputs, tf.constant(present)))
        return ScoredCandidates(chosen, scores, logits, present, channels)

    def _proposals(self, state: EncodedState, time: np.ndarray | None, served: np.ndarray) -> np.ndarray:
        if time is None:
            return self._propose(state, tf.constant(self._quality.trending(served, TRENDING))).numpy()
        return self._propose_as_of(state, tf.constant(time)).numpy()
