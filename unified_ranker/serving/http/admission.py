"""Admission: bounds on requests in work, waiting requests and their wait; the rest are refused at once.

A queue without bounds turns a minute of too many requests into many minutes of late answers. A refusal costs almost
nothing, and the client can try another replica.

Reference: TF Serving, tensorflow_serving/batching/README.md (`max_enqueued_batches`) gives the same advice.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from unified_ranker.serving.service.service_metrics import ServiceMetrics


class OverloadedError(RuntimeError):
    """Error: there is no slot for the request."""


class Admission:
    """Slots for requests, for use in one event loop.

    Args:
        slots: requests that are answered at once.
        queue: requests that may wait for a slot.
        patience: seconds that a request may wait.
        metrics: counts waiting, running and refused requests.
    """

    def __init__(self, slots: int, queue: int, patience: float, metrics: ServiceMetrics) -> None:
        self._slots, self._queue, self._patience = slots, queue, patience
        self._running = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._metrics = metrics

    @asynccontextmanager
    async def slot(self) -> AsyncIterator[None]:
        """Hold a slot.

        Raises:
            OverloadedError: the queue is full, or no slot came free in time.
        """
        await self._enter()
        try:
            yield
        finally:
            self._leave()

    async def _enter(self) -> None:
        if self._running < self._slots and not self._waiting:
            self._running += 1
            self._metrics.running.set(self._running)
            return
        if len(self._waiting) >= self._queue:
            self._metrics.refused.labels("queue_full").inc()
            raise OverloadedError("the queue is full")
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        self._metrics.waiting.set(len(self._waiting))
        try:
            await asyncio.wait_for(turn, self._patience)
        except TimeoutError as error:
            self._metrics.refused.labels("waited_too_long").inc()
            raise OverloadedError("no slot came free in time") from error
        except asyncio.CancelledError:
            # The client has gone; a slot that it just got is passed to the next request.
            if turn.done() and not turn.cancelled():
                self._leave()
            raise

    def _leave(self) -> None:
        while self._waiting:
            turn = self._waiting.popleft()
            if not turn.done():
                turn.set_result(None)
                self._metrics.waiting.set(len(self._waiting))
                return
        self._running -= 1
        self._metrics.running.set(self._running)
        self._metrics.waiting.set(0)
