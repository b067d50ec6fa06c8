"""Sample of ids that is the same in every version, and the overlap of neighbourhoods within it.

The id alone decides whether it is in the sample, so two versions have the same sample, and memory holds nothing but
the sample.
"""

import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from unified_ranker.store.base import StoreBackend
from unified_ranker.store.records import EntryBatch, to_batch

_MOST = 20_000
_QUERIES, NEIGHBOURS_COMPARED = 500, 10
_AT_ONCE = 10_000


def thinning(count: int, most: int = _MOST) -> int:
    """Return n so that one of n ids makes a sample of at most about `most`."""
    return max(1, -(-count // most))


def is_sampled(name: str, thin: int) -> bool:
    """Tell whether an id is in the sample of one of `thin`."""
    return zlib.crc32(name.encode()) % thin == 0


def sample_ids(backend: StoreBackend, version: int, kind: str, most: int = _MOST) -> list[str]:
    """Return the sampled ids of a kind, in order of the store."""
    thin = thinning(backend.count(version, kind), most)
    return [name for ids, _ in backend.scan(version, kind, _AT_ONCE) for name in ids if is_sampled(name, thin)]


def read_many(backend: StoreBackend, version: int, kind: str, ids: Sequence[str], width: int) -> EntryBatch:
    """Return any number of entries of one version."""
    records: list[bytes | None] = []
    for at in range(0, len(ids), _AT_ONCE):
        records += backend.get(kind, ids[at : at + _AT_ONCE], version)[1]
    return to_batch(ids, records, width, version)


def shared(one: EntryBatch, other: EntryBatch) -> npt.NDArray[np.bool_]:
    """Mark the ids `[n]` that both batches, of the same ids, have as finite vectors."""
    both = one.found & other.found
    both &= np.isfinite(one.vectors).all(1) & np.isfinite(other.vectors).all(1)
    return both


def neighbour_overlap(one: npt.NDArray, other: npt.NDArray) -> npt.NDArray[np.float64]:
    """Return the share of each query's ten nearest that two sets of vectors of the same ids `[n, width]` share.

    The queries `[min(n, 500)]` are evenly spaced rows; nearest is by dot product, among the rows alone. Widths may
    differ.
    """
    rows = len(one)
    if rows < 2:
        return np.ones(rows)
    queries = np.unique(np.linspace(0, rows - 1, min(rows, _QUERIES)).astype(int))
    nearest = min(NEIGHBOURS_COMPARED, rows - 1)
    found = [_nearest(vectors, queries, nearest) for vectors in (one, other)]
    pairs = zip(found[0], found[1], strict=True)
    return np.array([len(np.intersect1d(a, b)) / nearest for a, b in pairs])


def _nearest(vectors: npt.NDArray, queries: npt.NDArray, nearest: int) -> npt.NDArray:
    scores = vectors[queries].astype(np.float32) @ vectors.astype(np.float32).T
    scores[np.arange(len(queries)), queries] = -np.inf
    return np.argpartition(-scores, nearest - 1, axis=1)[:, :nearest]
