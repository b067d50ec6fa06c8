"""The ranking service without HTTP: one request in, ranked items out, with the time that every stage took."""

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from unified_ranker.data.examples import Ints
from unified_ranker.export.index import Index
from unified_ranker.export.requests import NO_HISTORY, Arrays, History, Request
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.recommending import Answer, answer_batch
from unified_ranker.serving.retrieval.retriever import Retriever

DEADLINE = 5.0
"""Seconds that a request may take."""

AVAILABLE = "AVAILABLE"
_PROBE_SECONDS = 1.0
_STAGE_OF = {"encode": "encode", "rank_encoded": "rank"}


class VersionState(Protocol):
    """How far the model server has come with a version."""

    @property
    def version(self) -> int:
        """The version's number."""

    @property
    def state(self) -> str:
        """START, LOADING, AVAILABLE, UNLOADING or END."""


class ModelServer(Protocol):
    """What the service needs of a model server; `client.ModelClient` is one."""

    def predict(self, signature: str, inputs: Arrays, timeout: float | None = None) -> Arrays:
        """Run a signature within `timeout` seconds."""

    def status(self, timeout: float | None = None) -> Sequence[VersionState]:
        """Return the states of the versions that it serves."""


class Histories(Protocol):
    """Where the service finds what users did; `export.log_history.LogHistory` is one."""

    def before(self, user_id: str, timestamp: int) -> History:
        """Return a user's events strictly before a time in seconds (0 = all); empty for an unknown user."""


@dataclass(frozen=True)
class Recommendation:
    """An answer and how it came about.

    Attributes:
        release: number of the release that answered.
        answer: the items, and the query that the request was answered for.
        degraded: the rung of the degradation ladder that answered; None for the full path.
        timings_ms: milliseconds by stage: `encode` and `rank` with the way to the model server and back,
            `retrieve`, and `total`, which holds them all.
    """

    release: int
    answer: Answer
    degraded: str | None
    timings_ms: dict[str, float]


class RankingService:
    """Answers requests from one release: encode once, retrieve from the index, rank. Safe to use from several threads.

    Args:
        release: what it answers from.
        index: over the release's vectors.
        model: serves the release's model.
        histories: of the users; None: users have the history that their request brings, or none.
        deadline: seconds that a request may take.
    """

    def __init__(
        self,
        release: OpenedRelease,
        index: Index,
        model: ModelServer,
        histories: Histories | None = None,
        deadline: float = DEADLINE,
    ) -> None:
        self.release = release
        self._model = model
        self._histories = histories
        self._retriever = Retriever(release, index)
        self._deadline = deadline

    def recommend(self, request: Request, look_up_history: bool = False) -> Recommendation:
        """Answer a request.

        Args:
            request: a limit of 0 means the task's own.
            look_up_history: whether to take the user's history from the service's store, not from the request.

        Raises:
            UserError: the release has no such task.
            ModelServerError: the model server failed, or did not answer before the deadline.
            ModelOutputError: the model's numbers are no answer.
        """
        self.release.require_task(request.task)
        watch = _Stopwatch()
        until = time.monotonic() + self._deadline
        if look_up_history:
            request = replace(request, history=self._history(request))

        def predict(signature: str, inputs: Arrays) -> Arrays:
            with watch.stage(_STAGE_OF[signature]):
                return self._model.predict(signature, inputs, timeout=max(until - time.monotonic(), 0.0))

        def retrieve(queries: np.ndarray, requests: Sequence[Request]) -> list[Ints]:
            with watch.stage("retrieve"):
                return self._retriever(queries, requests)

        answer = answer_batch(self.release, [request], predict, retrieve)[0]
        return Recommendation(self.release.version, answer, None, watch.timings())

    def model_state(self) -> str:
        """Return how far the model server has come with the release's version, for example AVAILABLE.

        Raises:
            ModelServerError: it does not answer within 1 s, or does not know the version.
        """
        states = {status.version: status.state for status in self._model.status(timeout=_PROBE_SECONDS)}
        return states.get(self.release.version, "unknown")

    def _history(self, request: Request) -> History:
        if self._histories is None or not request.user_id:
            return NO_HISTORY
        return self._histories.before(request.user_id, request.timestamp)


class _Stopwatch:
    """Milliseconds by stage, from when it was made."""

    def __init__(self) -> None:
        self._started = time.perf_counter()
        self._stages: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[None]:
        started = time.perf_counter()
        yield
        self._stages[name] = _milliseconds(started)

    def timings(self) -> dict[str, float]:
        return {**self._stages, "total": _milliseconds(self._started)}


def _milliseconds(since: float) -> float:
    return round(1000 * (time.perf_counter() - since), 3)
