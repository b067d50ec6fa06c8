"""A table of requests answered by one process, as `unified-ranker recommend --requests` does.

    python benchmarks/bulk.py DIRECTORY             # results/bulk.json; 2 minutes, with the release

The release is that of `synthetic_release.py` over ten thousand items: three tasks, 500 candidates. Histories are those
of its log, 40 events on average. Processor time counts that of all threads.
"""

import argparse
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
from machine import write_result
from synthetic_release import USERS, make_project

from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.serving.answering.recommender import Recommender
from unified_ranker.serving.answering.request_table import requests_of

TASKS = np.array(["search", "more_like_this", "home_feed"], object)


def table(recommender: Recommender, count: int) -> pa.Table:
    """Draw requests of all tasks."""
    rng = np.random.default_rng(4)
    task, items = TASKS[rng.integers(0, len(TASKS), count)], recommender.item_ids
    place = np.minimum((len(items) * rng.random(count) ** 3).astype(int), len(items) - 1)
    return pa.table(
        {
            "user_id": [f"user-{user}" for user in rng.integers(0, USERS, count)],
            "task": task,
            "query": np.where(task == "search", recommender.release.titles[place], None),
            "source_item_id": np.where(task == "more_like_this", items[place], None),
        }
    )


def main() -> None:
    """Make the release, answer the table a few times, and write the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--requests", type=int, default=4_096)
    options = parser.parse_args()
    recommender = Recommender(make_project(options.directory, options.items))
    log = LogHistory(Prepared.load(options.directory / ".unified_ranker" / "prepare"))
    given = table(recommender, options.requests)
    requests = requests_of(given, recommender.tasks, lambda: log, 0)
    # Each width of a batch is planned and allocated once.
    list(recommender.answer(requests))
    runs = []
    for _ in range(3):
        wall, processor = time.perf_counter(), time.process_time()
        list(recommender.answer(requests))
        runs.append((time.perf_counter() - wall, time.process_time() - processor))
    seconds, spent = (min(column) for column in zip(*runs, strict=True))
    write_result(
        __file__,
        {
            "items": options.items,
            "requests": options.requests,
            "requests_per_second": round(options.requests / seconds),
            "processor_ms_per_request": round(1e3 * spent / options.requests, 2),
        },
    )


if __name__ == "__main__":
    main()
