"""Seed of what is drawn for one task, so that another task in the project does not change the draw."""

import zlib


def task_seed(seed: int, task: str, *more: int) -> list[int]:
    """Return the seed of a draw for a task, from the project's seed; `more` tells its draws apart."""
    return [seed, zlib.crc32(task.encode()), *more]
