"""Batches of many requests: like requests together, several batches at a time, answers in the order of the requests."""

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from unified_ranker.core.request import Request

BATCH = 16
"""Requests of a batch. The tensors of more, with hundreds of candidates each, do not fit in the processor's caches."""
_SORTED = 4096
"""Requests among which those with histories of like length are put together."""
Result = TypeVar("Result")


def in_batches(requests: Sequence[Request], answer: Callable[[Sequence[Request]], list[Result]]) -> Iterator[Result]:
    """Yield the answers to requests, in their order.

    A batch is as wide as its longest history, so requests with histories of like length share one. Batches run in as
    many threads as there are processors: `answer` spends its time in NumPy and TensorFlow, which let others run, and
    a single batch leaves processors idle between the operations that use all of them.

    Args:
        requests: in any order.
        answer: answers some of them, in their order; is called from several threads.
    """
    if not requests:
        return
    if len(requests) <= BATCH:
        yield from answer(requests)
        return
    with ThreadPoolExecutor(os.cpu_count()) as threads:
        for start in range(0, len(requests), _SORTED):
            part = requests[start : start + _SORTED]
            order = np.argsort([len(request.history) for request in part], kind="stable")
            rows = [order[at : at + BATCH] for at in range(0, len(order), BATCH)]
            batches = [[part[row] for row in own] for own in rows]
            found: list[Result | None] = [None] * len(part)
            for own, answers in zip(rows, threads.map(answer, batches), strict=True):
                for row, one in zip(own, answers, strict=True):
                    found[row] = one
            yield from found  # type: ignore[misc]
