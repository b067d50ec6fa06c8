"""Mapping of a new version into the space of an earlier one, and the drift of its items there."""

from collections.abc import Iterable

import numpy as np
import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.store import EmbeddingStore
from unified_ranker.store.alignment import Drift, DriftSince, VectorSpace, mean_cosine, mean_distance, procrustes
from unified_ranker.store.sample import is_sampled, neighbour_overlap, read_many, shared, thinning
from unified_ranker.store.state import StoreState
from unified_ranker.store.version_manifest import find_version
from unified_ranker.vectors.embedding_stages import vectors_of_table

_MOST = 100_000
"""Most shared items that the transform is fitted on; a space of 64 dimensions needs far fewer."""
_OVERLAP = 20_000


def choose_space(
    store: EmbeddingStore, version: int, items: Iterable[pa.Table], count: int, width: int, reference: str | None
) -> VectorSpace:
    """Return the space of a new version, fitted on a sample of the items that it shares with the reference.

    Args:
        store: with the reference.
        version: number of the new version.
        items: tables of all item vectors, as the towers make them.
        count: number of the items.
        width: of the vectors.
        reference: number of a version, `new` for a new space, or None for the store's reference.

    Raises:
        UserError: the reference is missing, has another width, or shares too few items.
    """
    state = StoreState.of(store.backend.state(), store.backend.place)
    chosen = _number(reference, state.reference)
    if chosen == 0:
        return VectorSpace(version, np.eye(width))
    manifest = find_version(store.backend, chosen)
    if manifest is None:
        known = store.backend.versions()
        raise UserError(f"`--reference` must be a version of the store, or `new`. Received: {chosen}. There: {known}.")
    wide = manifest.kinds["item"].width
    if wide != width:
        raise UserError(
            f"vectors must have the width of the reference, version {chosen}. Received: {width} instead of {wide}. "
            "Start a new space with `--reference new`, and tell the consumers."
        )
    ids, made = _sample(items, thinning(count, _MOST))
    there = read_many(store.backend, chosen, "item", ids, width)
    both = there.found & np.isfinite(there.vectors).all(1) & np.isfinite(made).all(1)
    transform = procrustes(made[both], there.vectors[both])
    mapped = (made.astype(np.float64) @ transform).astype(np.float32)
    few = np.flatnonzero(both)[: len(ids) if len(ids) <= _OVERLAP else _OVERLAP]
    drift = Drift(
        reference=chosen,
        items=int(both.sum()),
        cosine_before=mean_cosine(made[both], there.vectors[both]),
        cosine_after=mean_cosine(mapped[both], there.vectors[both]),
        distance_before=mean_distance(made[both], there.vectors[both]),
        distance_after=mean_distance(mapped[both], there.vectors[both]),
        neighbour_overlap=float(neighbour_overlap(mapped[few], there.vectors[few]).mean()),
        published=_since(store, state.published, ids, mapped) if state.published not in (0, chosen) else None,
    )
    # The reference may itself be mapped; all versions in a space are named by the first version of the space.
    return VectorSpace(manifest.space.reference, transform, drift)


def _since(store: EmbeddingStore, published: int, ids: list[str], mapped: np.ndarray) -> DriftSince | None:
    """Return the drift of the items from those of the published version, which is in the same space."""
    manifest = find_version(store.backend, published)
    if manifest is None or manifest.kinds["item"].width != mapped.shape[1]:
        return None
    before = read_many(store.backend, published, "item", ids, mapped.shape[1])
    both = shared(before, before)
    cosine = np.einsum("nd,nd->n", mapped[both], before.vectors[both])
    few = np.flatnonzero(both)[:_OVERLAP]
    overlap = neighbour_overlap(mapped[few], before.vectors[few])
    return DriftSince(published, float(cosine.mean()), float(overlap.mean()))


def _sample(items: Iterable[pa.Table], thin: int) -> tuple[list[str], np.ndarray]:
    ids: list[str] = []
    parts: list[np.ndarray] = []
    for table in items:
        names = table["id"].to_pylist()
        rows = [row for row, name in enumerate(names) if is_sampled(name, thin)]
        ids += [names[row] for row in rows]
        parts.append(vectors_of_table(table)[rows])
    return ids, np.concatenate(parts)


def _number(reference: str | None, own: int) -> int:
    if reference is None:
        return own
    if reference == "new":
        return 0
    if not reference.isdecimal():
        raise UserError(f"`--reference` must be the number of a version, or `new`. Received: `{reference}`.")
    return int(reference)
