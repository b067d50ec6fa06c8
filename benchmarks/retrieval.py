"""ScaNN in the service process: time of one query, recall@100 of exact search, and growth from 100 k to 1 M items.

    python benchmarks/retrieval.py            # about two minutes; results/retrieval.json

Vectors are clustered and seeded: 64-d of unit length, and a quality vector of 3.
"""

import argparse
import tempfile
import time
from pathlib import Path

import numpy as np
from machine import keep, machine
from synthetic_release import clustered

from unified_ranker.release.index import build_index, load_index
from unified_ranker.release.indexes.exact import ExactSearch
from unified_ranker.release.indexes.scann import ScannIndex

QUERIES, K = 2000, 100


def with_quality(items: int, seed: int) -> np.ndarray:
    """Draw item vectors `[items, 67]`."""
    quality = np.random.default_rng(seed).random((items, 3)).astype(np.float32) * 0.1
    return np.concatenate([clustered(items, 64, seed), quality], 1)


def timed(search: object, queries: np.ndarray, k: int) -> tuple[dict[str, float], list[np.ndarray]]:
    """Time queries one by one; returns percentiles in milliseconds, and what was found."""
    spent, found = [], []
    for query in queries:
        started = time.perf_counter()
        positions, _ = search.search(query[None], k)
        spent.append(1000 * (time.perf_counter() - started))
        found.append(positions[0])
    return {f"p{p}_ms": round(float(np.percentile(spent, p)), 3) for p in (50, 99)}, found


def measure(items: int) -> dict[str, object]:
    """Build an index over so many items and measure it."""
    vectors = with_quality(items, 7)
    queries = np.concatenate([clustered(QUERIES, 64, 11), np.full((QUERIES, 3), 0.1, np.float32)], 1)
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        ids = np.arange(items).astype(str).astype(object)
        description = build_index(Path(folder), ids, vectors, ScannIndex(type="scann"))
        built = time.perf_counter() - started
        index = load_index(Path(folder), vectors)
    exact = ExactSearch(vectors)
    timed(index, queries[:100], K)
    scann, found = timed(index, queries, K)
    few = 200
    slow, right = timed(exact, queries[:few], K)
    recall = float(np.mean([len(np.intersect1d(a, b)) / K for a, b in zip(found[:few], right, strict=True)]))
    wide, _ = timed(index, queries, 500)
    return {
        "items": items,
        "index": description.model_dump(include={"leaves", "leaves_to_search", "reorder"}),
        "build_seconds": round(built, 1),
        "scann": scann,
        "scann_500_neighbours": wide,
        "exact": slow,
        "recall_at_100": round(recall, 4),
        "times_faster_than_exact_p50": round(slow["p50_ms"] / scann["p50_ms"], 1),
    }


def main() -> None:
    """Measure both sizes and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, nargs="+", default=[100_000, 1_000_000])
    described = machine()
    sizes = [measure(items) for items in parser.parse_args().items]
    growth = sizes[-1]["scann"]["p50_ms"] / sizes[0]["scann"]["p50_ms"]
    keep("retrieval", {"sizes": sizes, "growth_of_p50": round(growth, 2)}, described)


if __name__ == "__main__":
    main()
