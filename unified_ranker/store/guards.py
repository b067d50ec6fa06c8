"""Guards of publishing: checks of a new version by itself, and of its changes from the published one."""

from collections.abc import Iterable, Sequence

import numpy as np

from unified_ranker.store.base import StoreBackend
from unified_ranker.store.limits import Limits
from unified_ranker.store.sample import NEIGHBOURS_COMPARED, neighbour_overlap, read_many, sample_ids, shared
from unified_ranker.store.tally import EXAMPLES_SHOWN, Seen, VectorCheck
from unified_ranker.store.version_manifest import find_version

NAMES = (
    "width", "finite", "zero", "duplicate_ids", "duplicate_vectors", "missing", "lost", "norms", "neighbours",
)  # fmt: skip
"""All checks; those up to `missing` are of a version alone, the others compare it with the published one."""


def check_missing(
    backend: StoreBackend, version: int, kind: str, expected: Iterable[Sequence[str]], width: int
) -> VectorCheck:
    """Check that a version has all ids, which come in parts."""
    lacking, total = Seen(), 0
    for ids in expected:
        there = read_many(backend, version, kind, ids, width).found
        lacking.add([name for name, found in zip(ids, there, strict=True) if not found])
        total += len(ids)
    rule = "every id of the export has a vector"
    return VectorCheck("missing", kind, lacking.count == 0, lacking.count, total, rule, tuple(lacking.examples))


def check_movement(backend: StoreBackend, version: int, published: int, limits: Limits) -> list[VectorCheck]:
    """Compare a sealed version with the published one, on a sample of ids that both share."""
    new, old = find_version(backend, version), find_version(backend, published)
    if new is None or old is None or version == published:
        return []
    out: list[VectorCheck] = []
    for kind, noted in old.kinds.items():
        if noted.count == 0:
            continue
        ids = sample_ids(backend, published, kind)
        width = new.kinds.get(kind, noted).width
        before = read_many(backend, published, kind, ids, noted.width)
        after = read_many(backend, version, kind, ids, width)
        out.append(_lost(kind, ids, after.found, limits))
        both = shared(before, after)
        names = np.array(ids, object)[both]
        if len(names) and kind != "query":
            out += _moved(kind, names, before.vectors[both], after.vectors[both], limits)
    return out


def _lost(kind: str, ids: list[str], found: np.ndarray, limits: Limits) -> VectorCheck:
    gone = np.array(ids, object)[~found]
    rule = f"at most {limits.lost:.1%} of the published ids are missing"
    passed = len(gone) <= limits.lost * len(ids)
    return VectorCheck("lost", kind, passed, len(gone), len(ids), rule, tuple(gone[:EXAMPLES_SHOWN]))


def _moved(kind: str, names: np.ndarray, before: np.ndarray, after: np.ndarray, limits: Limits) -> list[VectorCheck]:
    ratio = np.linalg.norm(after, axis=1) / np.maximum(np.linalg.norm(before, axis=1), 1e-12)
    changed = np.abs(ratio - 1) > limits.norm_change
    rule = f"at most {limits.norms:.1%} changed their length by more than {limits.norm_change:.0%}"
    norms = VectorCheck(
        "norms", kind, bool(changed.mean() <= limits.norms), int(changed.sum()), len(names), rule,
        tuple(names[changed][:EXAMPLES_SHOWN]),
    )  # fmt: skip
    if kind != "item":
        return [norms]
    overlap = neighbour_overlap(before, after)
    queries = names[np.unique(np.linspace(0, len(names) - 1, len(overlap)).astype(int))]
    others = float(1 - overlap.mean())
    rule = f"at most {limits.neighbours:.1%} of the {NEIGHBOURS_COMPARED} nearest are others than before"
    order = np.argsort(overlap, kind="stable")[:EXAMPLES_SHOWN]
    looked = len(overlap) * min(NEIGHBOURS_COMPARED, max(len(names) - 1, 1))
    passed, examples = others <= limits.neighbours, tuple(queries[order])
    return [norms, VectorCheck("neighbours", kind, passed, round(others * looked), looked, rule, examples)]
