"""Cache of query vectors, for models with a costly text encoder."""

import threading
from collections import OrderedDict
from collections.abc import Callable

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.signature_names import (
    EMBED_QUERIES,
    ENCODE,
    ENCODE_EMBEDDED,
    ENCODE_LIVE,
    QUERY_EMBEDDING,
    QUERY_FIELD,
)
from unified_ranker.serving.answering.recommending import Predict

MOST_CACHED_QUERIES = 50_000
"""Most queries in the cache: with 128 floats each, 26 MB."""


class QueryVectorCache:
    """Cache of the vectors of recent queries, for one release. Safe to use from several threads.

    Args:
        capacity: most queries.
        evicted: is called when one of them makes room for another.
    """

    def __init__(self, capacity: int = MOST_CACHED_QUERIES, evicted: Callable[[], object] = lambda: None) -> None:
        self.capacity, self._evicted = capacity, evicted
        self._kept: OrderedDict[bytes, np.ndarray] = OrderedDict()
        self._lock = threading.Lock()

    def around(self, predict: Predict) -> Predict:
        """Return `predict` with a cache: encoding gets the vectors of queries, and only new queries are embedded."""

        def call(signature: str, inputs: Arrays) -> Arrays:
            if signature not in (ENCODE, ENCODE_LIVE):
                return predict(signature, inputs)
            typed = [_key(query) for query in inputs[QUERY_FIELD]]
            found = self._look_up({query for query in typed if query})
            new = sorted({query for query in typed if query and query not in found})
            if new:
                vectors = predict(EMBED_QUERIES, {QUERY_FIELD: np.array(new, object)})[QUERY_EMBEDDING]
                found |= self._keep(dict(zip(new, vectors, strict=True)))
            if not found:
                # No request has a query, so there is nothing to embed.
                return predict(signature, inputs)
            blank = np.zeros_like(next(iter(found.values())))
            rows = np.stack([found.get(query, blank) for query in typed])
            return predict(ENCODE_EMBEDDED, {**inputs, QUERY_EMBEDDING: rows})

        return call

    def _look_up(self, queries: set[bytes]) -> dict[bytes, np.ndarray]:
        with self._lock:
            found = {query: self._kept[query] for query in queries if query in self._kept}
            for query in found:
                self._kept.move_to_end(query)
        return found

    def _keep(self, vectors: dict[bytes, np.ndarray]) -> dict[bytes, np.ndarray]:
        with self._lock:
            self._kept.update(vectors)
            while len(self._kept) > self.capacity:
                self._kept.popitem(last=False)
                self._evicted()
        return vectors


def _key(query: str | bytes) -> bytes:
    return query if isinstance(query, bytes) else str(query).encode()
