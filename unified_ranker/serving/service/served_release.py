"""Release in service: its parts, which change together, and the count of requests that use them."""

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from unified_ranker.core.request import Request
from unified_ranker.core.signature_names import EMBED_QUERIES
from unified_ranker.release.indexes.base import Index
from unified_ranker.serving.answering.live_popularity import LivePopularity
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.query_vectors import QueryVectorCache
from unified_ranker.serving.answering.stored_popularity import StoredPopularity
from unified_ranker.serving.answering.title_index import TitleIndex
from unified_ranker.serving.backends.base import STATE_AVAILABLE, ModelBackend
from unified_ranker.serving.retrieval.retriever import Retriever
from unified_ranker.serving.service.breaker import Breaker
from unified_ranker.serving.service.fallback import Fallbacks

STABLE, CANARY = "stable", "canary"
_QUERIES_KEPT = 64


@dataclass(frozen=True)
class Parts:
    """Parts of a release that a request reads; they are replaced as a whole."""

    release: OpenedRelease
    index: Index
    retriever: Retriever
    exact: Retriever


def parts_of(release: OpenedRelease, index: Index) -> Parts:
    """Return the parts of a release and its index."""
    return Parts(release, index, Retriever(release, index), Retriever(release))


def counting(release: OpenedRelease) -> OpenedRelease:
    """Return a release whose popularity counts on from its log, where it has counts."""
    stored = release.popularity
    if not isinstance(stored, StoredPopularity):
        return release
    return release.with_popularity(LivePopularity(stored, release.row_of, int(release.clock())))


class ServedRelease:
    """Answers from one release until it is closed.

    Args:
        release: that it answers from.
        index: over the release's vectors.
        model: serves the release's model.
        label: `stable` or `canary`.
        evicted: is called with a cache's name for each entry that the cache has no room for.
    """

    def __init__(
        self,
        release: OpenedRelease,
        index: Index,
        model: ModelBackend,
        label: str,
        evicted: Callable[[str], object],
    ) -> None:
        self.parts = parts_of(counting(release), index)
        self.model = model
        self.label = label
        self.breaker = Breaker()
        # Where the text encoder is costly, the vectors of queries are cached.
        costly = EMBED_QUERIES in release.manifest.signatures
        self.query_vectors = QueryVectorCache(evicted=lambda: evicted("query_vectors")) if costly else None
        self.fallbacks = Fallbacks(evicted=lambda: evicted("answers"))
        self.live_titles = TitleIndex()
        self.queries: deque[np.ndarray] = deque(maxlen=_QUERIES_KEPT)
        self.counted_until = ""
        """Position in the store's log up to which the release's popularity has counted (see `CountsFollower`)."""
        self.model_state = STATE_AVAILABLE
        """State of the model as `ModelWatch` last saw it; a release comes into service when it is AVAILABLE."""
        self.requests: deque[Request] = deque(maxlen=_QUERIES_KEPT)
        self.changing = threading.Lock()
        self._users = 0
        self._idle = threading.Condition()

    @property
    def release(self) -> OpenedRelease:
        """The release with its live changes."""
        return self.parts.release

    @contextmanager
    def in_use(self) -> Iterator["ServedRelease"]:
        """Keep the engine open for the time of a block."""
        with self._idle:
            self._users += 1
        try:
            yield self
        finally:
            with self._idle:
                self._users -= 1
                self._idle.notify_all()

    def wait_until_idle(self, timeout: float) -> bool:
        """Wait until no request uses the engine, at most `timeout` seconds; tells whether none does."""
        with self._idle:
            return self._idle.wait_for(lambda: self._users == 0, timeout)
