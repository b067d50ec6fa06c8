"""Matrix of all vectors of one kind in memory, for exact search of neighbours."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import Floats
from unified_ranker.store.base import StoreBackend
from unified_ranker.store.records import unpack

_AT_ONCE = 20_000


@dataclass(frozen=True)
class Neighbour:
    """Neighbour: an id, and its dot product with the query."""

    id: str
    score: float


class VectorMatrix:
    """The vectors of a version's kind, `[n, width]`."""

    def __init__(self, backend: StoreBackend, version: int, kind: str, width: int) -> None:
        """Read all vectors."""
        self.version, self.kind, self._backend, self._width = version, kind, backend, width
        # Before the scan, so that entries which are refreshed during the scan are read again.
        self._position, _ = backend.changes(version, kind, 0)
        count = backend.count(version, kind)
        self._vectors = np.zeros((count, width), np.float32)
        self._ids: list[str] = []
        for ids, records in backend.scan(version, kind, _AT_ONCE):
            self._put(ids, unpack(records, width)["vector"])
        self._rows = {name: row for row, name in enumerate(self._ids)}

    def refresh(self) -> None:
        """Read the entries that were refreshed since the last call."""
        self._position, changed = self._backend.changes(self.version, self.kind, self._position)
        names = list(dict.fromkeys(changed))
        if not names:
            return
        _, records = self._backend.get(self.kind, names, self.version)
        there = [(name, record) for name, record in zip(names, records, strict=True) if record is not None]
        vectors = unpack([record for _, record in there], self._width)["vector"]
        rows = [self._rows.get(name) for name, _ in there]
        known = np.array([row is not None for row in rows], bool)
        self._vectors[[row for row in rows if row is not None]] = vectors[known]
        new = [name for (name, _), old in zip(there, known, strict=True) if not old]
        self._rows.update({name: len(self._ids) + offset for offset, name in enumerate(new)})
        self._put(new, vectors[~known])

    def nearest(self, vector: Floats, k: int, without: str | None) -> list[Neighbour]:
        """Return the `k` entries with the highest dot product with `vector` `[width]`, best first."""
        scores = self._vectors[: len(self._ids)] @ vector.astype(np.float32)
        if without is not None and without in self._rows:
            scores[self._rows[without]] = -np.inf
        k = min(k, len(scores))
        if k == 0:
            return []
        best = np.argpartition(-scores, k - 1)[:k]
        best = best[np.lexsort((best, -scores[best]))]
        return [Neighbour(self._ids[row], float(scores[row])) for row in best if scores[row] > -np.inf]

    def _put(self, ids: list[str], vectors: Floats) -> None:
        start, end = len(self._ids), len(self._ids) + len(ids)
        if end > len(self._vectors):
            grown = np.zeros((max(end, len(self._vectors) * 5 // 4), self._width), np.float32)
            grown[:start] = self._vectors[:start]
            self._vectors = grown
        self._vectors[start:end] = vectors
        self._ids += ids
