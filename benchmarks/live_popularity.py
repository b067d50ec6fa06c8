"""Popularity that is counted while serving, at a million items: reading for a request, a second's work, an hour's list.

    python benchmarks/live_popularity.py            # about a minute; results/live_popularity.json

Five popularities (of all time, and of the last month, week, day and hour), a million events of the last month, a
thousand new ones a second.
"""

import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from machine import write_result

from unified_ranker.core.times import DAY, HOUR
from unified_ranker.prepare.quality import TRENDING
from unified_ranker.prepare.quality_types.popularity_feature import PopularityFeature
from unified_ranker.release.counts import CountsDescription, StoredCounts
from unified_ranker.serving.answering.live_popularity import LivePopularity
from unified_ranker.serving.answering.stored_popularity import StoredPopularity

ITEMS, EVENTS, NEW, CANDIDATES = 1_000_000, 1_000_000, 1_000, 500
DAYS = {"ever": None, "month": 30.0, "week": 7.0, "day": 1.0, "hour": 0.042}
END = 20_000 * DAY


def main() -> None:
    """Measure, and write the result."""
    rng = np.random.default_rng(3)
    features = {name: PopularityFeature(type="popularity", window_days=days) for name, days in DAYS.items()}
    ids = np.array([f"item-{n}" for n in range(ITEMS)], object)
    place = {item_id: n for n, item_id in enumerate(ids)}
    stored = StoredCounts(
        CountsDescription(scales=dict.fromkeys(DAYS, 5.0), exact_from=END - DAY, end=END, trending=TRENDING),
        features,
        rng.poisson(3, (len(DAYS), ITEMS)) * np.array([days is None for days in DAYS.values()])[:, None],
        rng.zipf(1.3, EVENTS) % ITEMS,
        np.sort(rng.integers(END - 31 * DAY, END, EVENTS)),
        np.ones((len(DAYS), EVENTS), bool),
    )
    with tempfile.TemporaryDirectory() as folder:
        directory = Path(folder) / "counts"
        description = stored.write(directory)
        written = sum(file.stat().st_size for file in directory.iterdir())
        popularity = StoredPopularity(directory, description, features, ids)
        started = time.perf_counter()
        live = LivePopularity(popularity, place, END + 1)
        opened = time.perf_counter() - started
    numbers, now = rng.integers(0, ITEMS, (200, CANDIDATES)), np.array([END + 1])
    reads = [timed(lambda row=row: (live.of(row, np.full(len(row), END + 1)), live.trending(now))) for row in numbers]
    seconds = []
    for second in range(60):
        moment = END + 2 + second
        item_ids = ids[rng.zipf(1.3, NEW) % ITEMS]
        times, counted = rng.integers(moment - 2, moment, NEW), np.ones((len(DAYS), NEW), bool)
        seconds.append(timed(lambda i=item_ids, t=times, c=counted, m=moment: (live.add(i, t, c), live.advance(m))))
    hour = timed(lambda: live.advance(END + 2 * HOUR))
    write_result(
        __file__,
        {
            "items": ITEMS,
            "events": EVENTS,
            "popularities": len(DAYS),
            "files_mib": round(written / 2**20, 1),
            "open_seconds": round(opened, 2),
            "read_500_candidates_and_lists": percentiles(reads),
            "second_with_1000_events": percentiles(seconds),
            "turn_of_the_hour_ms": round(hour, 1),
        },
    )


def timed(call: Callable[[], object]) -> float:
    """Return the milliseconds that a call takes."""
    started = time.perf_counter()
    call()
    return 1000 * (time.perf_counter() - started)


def percentiles(spent: list[float]) -> dict[str, float]:
    """Return percentiles of times in milliseconds."""
    return {f"p{p}_ms": round(float(np.percentile(spent, p)), 3) for p in (50, 99)}


if __name__ == "__main__":
    main()
