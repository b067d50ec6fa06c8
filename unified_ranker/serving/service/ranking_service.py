"""Ranking service without HTTP: it answers a request, by the degradation ladder where a part fails.

The ladder (docs/guide/serving.md), best rung first: full (None) · `no_history`: ranked, but the store of histories did
not answer · `two_tower`: in the order of retrieval · `cached`: the last answer to the same query or source item ·
`popular`: the model's answer to an unknown user, for the task and country · 503.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from unified_ranker.core.arrays import Arrays, Ints
from unified_ranker.core.request import NO_HISTORY, History, Request
from unified_ranker.core.times import CLOCK_SKEW
from unified_ranker.events.base import HistoryReader, StoreError
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.model_outputs import EncodedRequests, ModelOutputError
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import (
    Answer,
    Answered,
    best_items,
    encode_batch,
    quality_at,
    rank_candidates,
)
from unified_ranker.serving.answering.request_rule import RequestRule
from unified_ranker.serving.backends.base import ModelBackend, ModelBackendError
from unified_ranker.serving.client.splitting import LabelSplit
from unified_ranker.serving.service.fallback import ANSWERS_KEPT
from unified_ranker.serving.service.served_release import STABLE, Parts, ServedRelease
from unified_ranker.serving.service.service_metrics import ServiceMetrics
from unified_ranker.serving.service.telemetry import span

DEADLINE = 1.0
"""Seconds that a request may take, including its time in the queue."""
_PROBE_SECONDS = 1.0
_LIVE_TITLES = 20
"""Most items changed since the release that are proposed for the words of their titles."""
_ENCODE_SHARE, _RANK_SHARE = 0.6, 0.9
"""Shares of the remaining time that a call to the model may take; the next rung needs the rest."""

logger = logging.getLogger(__name__)


class UnavailableError(RuntimeError):
    """Error: no rung of the ladder has an answer."""


@dataclass(frozen=True)
class Recommendation:
    """Answer of the service, with its release, its rung and its times.

    Attributes:
        release: number of the release that answered.
        answer: the items, and the imputed query.
        degraded: the rung of the degradation ladder that answered; None for the full path.
        timings_ms: milliseconds by stage: `encode` and `rank` with the round trip to the model server,
            `retrieve`, and `total`.
        label: the label that the user belongs to.
        known_user: whether the user has a history.
    """

    release: int
    answer: Answer
    degraded: str | None
    timings_ms: dict[str, float]
    label: str = STABLE
    known_user: bool = False


class RankingService:
    """Answers requests: encode once, retrieve from the index, rank. Safe to use from several threads.

    Args:
        release: that it answers from.
        index: over the release's vectors.
        model: serves the release's model.
        histories: of the users; None: only the history in a request counts.
        deadline: seconds that a request may take.
        metrics: to count in; None: new ones.
    """

    def __init__(
        self,
        release: OpenedRelease,
        index: Index,
        model: ModelBackend,
        histories: HistoryReader | None = None,
        deadline: float = DEADLINE,
        metrics: ServiceMetrics | None = None,
    ) -> None:
        self.metrics = metrics or ServiceMetrics()
        stable = ServedRelease(release, index, model, STABLE, self.metrics.evicted)
        self.engines: dict[str, ServedRelease] = {STABLE: stable}
        self.split: LabelSplit | None = None
        self.histories = histories
        self.deadline = deadline

    @property
    def release(self) -> OpenedRelease:
        """The stable release as it is now."""
        return self.engines[STABLE].release

    def recommend(
        self, request: Request, look_up_history: bool = False, arrived: float | None = None, request_id: str = ""
    ) -> Recommendation:
        """Answer a request.

        Args:
            request: a limit of 0 means the task's own.
            look_up_history: whether to take the user's history from the service's store, not from the request.
            arrived: time of arrival by `time.monotonic`, from which the deadline counts; None: now.
            request_id: decides the label of anonymous users.

        Raises:
            UserError: the release has no such task.
            UnavailableError: no rung has an answer.
        """
        watch, until = _Stopwatch(), (time.monotonic() if arrived is None else arrived) + self.deadline
        with self.engine_for(request.user_id or request_id).in_use() as engine:
            parts = engine.parts
            parts.release.require_task(request.task)
            degraded = None
            if look_up_history:
                history, degraded = self._history(request, int(parts.release.clock()))
                request = replace(request, history=history)
            request = parts.release.timed(request)
            if request.source_item_id:
                self.metrics.source(parts.release.knows(request.source_item_id))
            rung, answer = self._climb_down(engine, parts, request, watch, until)
            made = Recommendation(
                release=parts.release.version,
                answer=answer,
                degraded=rung or degraded,
                timings_ms=watch.timings(),
                label=engine.label,
                known_user=len(request.history) > 0,
            )
        self._count(request.task, made)
        return made

    def rehearse(self, engine: ServedRelease, request: Request) -> str | None:
        """Answer a recorded request from an engine that is not in service yet, without metrics; returns the rung."""
        watch, until = _Stopwatch(), time.monotonic() + 10 * self.deadline
        return self._climb_down(engine, engine.parts, request, watch, until)[0]

    def engine_for(self, user: str) -> ServedRelease:
        """Return the engine that a user's label has."""
        if self.split is None:
            return self.engines[STABLE]
        return self.engines.get(self.split.label_of(user), self.engines[STABLE])

    def state_of(self, engine: ServedRelease) -> str:
        """Return the state of a release's version on the model server, for example AVAILABLE.

        Raises:
            ModelBackendError: it does not answer within 1 s, or does not know the version.
        """
        states = {status.version: status.state for status in engine.model.status(timeout=_PROBE_SECONDS)}
        return states.get(engine.release.version, "unknown")

    # --- the ladder -----------------------------------------------------------------------------------------------

    def _climb_down(
        self, engine: ServedRelease, parts: Parts, request: Request, watch: "_Stopwatch", until: float
    ) -> tuple[str | None, Answer]:
        encoded = self._encode(engine, parts, request, watch, until)
        if isinstance(encoded, str):
            return self._from_fallbacks(engine, parts, request, encoded)
        query = encoded.queries[0]
        with watch.stage("retrieve"):
            rule = RequestRule(parts.release, request)
            positions, scores = self._retrieve(engine, parts, encoded.query_vectors, rule)
            late = parts.release.positions(engine.live_titles.matching(query, _LIVE_TITLES))
            # Each once: a changed item may be proposed by a signal, too.
            proposed = np.array(list(dict.fromkeys([*late.tolist(), *encoded.proposed[0].tolist()])), np.int64)
            candidates = rule.with_proposals(positions, proposed if len(late) else encoded.proposed[0])
        items = self._rank(engine, parts, request, (candidates, encoded), watch, until)
        if items is None:
            return "two_tower", Answer(query, _as_retrieved(parts.release, positions, scores, request))
        engine.fallbacks.remember(request, items[:ANSWERS_KEPT])
        return None, Answer(query, items[: parts.release.limit(request)])

    def _encode(
        self, engine: ServedRelease, parts: Parts, request: Request, watch: "_Stopwatch", until: float
    ) -> EncodedRequests | str:
        """Return the encoding, or the reason for which there is none."""

        def predict(signature: str, inputs: Arrays) -> Arrays:
            return engine.model.predict(signature, inputs, timeout=_part_of(until, _ENCODE_SHARE))

        if not engine.breaker.allows():
            self.metrics.error("encode", "breaker_open")
            return "the model server has failed repeatedly"
        try:
            with watch.stage("encode"):
                asked = engine.query_vectors.around(predict) if engine.query_vectors else predict
                encoded = encode_batch(parts.release, [request], asked)
        except (ModelBackendError, ModelOutputError) as error:
            self._failed(engine, "encode", error)
            if isinstance(error, ModelBackendError):
                return f"the model server gave no answer: {error.reason}"
            return str(error)
        engine.breaker.succeeded()
        return encoded

    def _retrieve(
        self, engine: ServedRelease, parts: Parts, query: np.ndarray, rule: RequestRule
    ) -> tuple[Ints, np.ndarray]:
        engine.queries.append(query)
        engine.requests.append(rule.request)
        try:
            return parts.retriever.scored(query, rule)
        except (RuntimeError, ValueError, IndexError) as error:
            # A broken index may raise any exception; exact search needs no index.
            self.metrics.error("retrieve", type(error).__name__)
            logger.exception("the index of release %d failed; exact search answers", parts.release.version)
            return parts.exact.scored(query, rule)

    def _rank(
        self,
        engine: ServedRelease,
        parts: Parts,
        request: Request,
        found: tuple[Ints, EncodedRequests],
        watch: "_Stopwatch",
        until: float,
    ) -> tuple[Answered, ...] | None:
        positions, encoded = found

        def predict(signature: str, inputs: Arrays) -> Arrays:
            return engine.model.predict(signature, inputs, timeout=_part_of(until, _RANK_SHARE))

        if len(positions) == 0:
            return ()
        try:
            with watch.stage("rank"):
                (ranked,) = rank_candidates(parts.release, [request], [positions], encoded, predict)
                return best_items(parts.release, positions, ranked, max(parts.release.limit(request), ANSWERS_KEPT))
        except (ModelBackendError, ModelOutputError) as error:
            self._failed(engine, "rank", error)
            return None

    @staticmethod
    def _from_fallbacks(engine: ServedRelease, parts: Parts, request: Request, reason: str) -> tuple[str, Answer]:
        kept = engine.fallbacks.answer(request, parts.release)
        if kept is None:
            raise UnavailableError(reason)
        rung, items = kept
        return rung, Answer(request.query, items)

    def _failed(self, engine: ServedRelease, stage: str, error: ModelBackendError | ModelOutputError) -> None:
        reason = error.reason if isinstance(error, ModelBackendError) else "not_finite"
        self.metrics.error(stage, reason)
        logger.warning("release %d, %s: %s", engine.release.version, stage, error)
        engine.breaker.failed()

    # --- the rest -------------------------------------------------------------------------------------------------

    def _history(self, request: Request, now: int) -> tuple[History, str | None]:
        if self.histories is None or not request.user_id:
            return NO_HISTORY, None
        try:
            # Not all events: those of later times would take the places of the latest ones that a store returns.
            return self.histories.before(request.user_id, request.timestamp or now + CLOCK_SKEW + 1), None
        except StoreError as error:
            self.metrics.error("history", "store")
            logger.warning("no history for a request: %s", error)
            return NO_HISTORY, "no_history"

    def _count(self, task: str, made: Recommendation) -> None:
        self.metrics.answered(task, made.degraded, made.release, made.label, made.timings_ms, made.known_user)
        if made.answer.items:
            best = made.answer.items[0]
            self.metrics.best(task, best.retrieval_score, best.heads)
        else:
            self.metrics.empty(task)


def fill_popular(service: RankingService, engine: ServedRelease, countries: Sequence[str] = ()) -> None:
    """Compute each task's answer to an unknown user, by country, for the rung `popular`."""
    for task in engine.release.config.tasks:
        for country in ("", *countries):
            request = Request(user_id="", task=task, country=country, limit=ANSWERS_KEPT)
            until = time.monotonic() + 10 * service.deadline
            rung, answer = service._climb_down(engine, engine.parts, request, _Stopwatch(), until)
            if rung is None:
                engine.fallbacks.remember_popular(task, country, answer.items)


def _as_retrieved(
    release: OpenedRelease, positions: Ints, scores: np.ndarray, request: Request
) -> tuple[Answered, ...]:
    kept = positions[: release.limit(request)]
    shown = zip(release.ids_at(kept), release.titles_at(kept), scores, quality_at(release, kept), strict=False)
    return tuple(
        Answered(str(item), str(title), float(score), float(score), {}, quality)
        for item, title, score, quality in shown
    )


def _part_of(until: float, share: float) -> float:
    return max((until - time.monotonic()) * share, 0.0)


class _Stopwatch:
    """Stopwatch of milliseconds by stage; it starts when it is made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        with span(name):
            try:
                yield
            finally:
                self._stages[name] = _milliseconds(started)

    def timings(self) -> dict[str, float]:
        return {**self._stages, "total": _milliseconds(self._started)}


def _milliseconds(since: float) -> float:
    return round(1000 * (time.perf_counter() - since), 3)
