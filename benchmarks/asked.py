"""Requests of the serving benchmarks: three tasks by turns, from known users."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from synthetic_release import USERS, WORDS

TASKS = ("search", "home_feed", "more_like_this")


def request_of(items: int) -> Callable[[int], dict[str, Any]]:
    """Return what makes the n-th request of a mixed load."""
    rng = np.random.default_rng(3)

    def body(number: int) -> dict[str, Any]:
        task = TASKS[number % 3]
        asked: dict[str, Any] = {"user_id": f"user-{rng.integers(USERS)}", "task": task, "limit": 20}
        if task == "search":
            asked["query"] = " ".join(rng.choice(WORDS, 2))
        elif task == "more_like_this":
            asked["source_item_id"] = f"item-{rng.integers(items)}"
        return asked

    return body


def recorded_requests(directory: Path, items: int, count: int) -> list[Any]:
    """Return requests of the load with their users' histories, which are in the log of the release's project."""
    import pyarrow as pa

    from unified_ranker.prepare.log_history import LogHistory
    from unified_ranker.prepare.prepared import Prepared
    from unified_ranker.serving.answering.request_table import requests_of

    log = LogHistory(Prepared.load(directory / ".unified_ranker" / "prepare"))
    text, body = pa.string(), request_of(items)
    columns = {"user_id": text, "task": text, "query": text, "source_item_id": text, "limit": pa.int64()}
    table = pa.Table.from_pylist([body(number) for number in range(count)], schema=pa.schema(list(columns.items())))
    return requests_of(table, TASKS, lambda: log, 0)
