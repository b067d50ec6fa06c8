"""HTTP server that runs an application in the main thread until a signal."""

import asyncio
import contextlib
import functools
import signal
import socket
from collections.abc import Callable, Iterator
from typing import cast

import uvicorn
from fastapi import FastAPI

from unified_ranker.serving.http.connection_limits import LimitedConnection
from unified_ranker.serving.service.service_metrics import ServiceMetrics

_DRAIN_SECONDS = 10
"""Seconds that running requests may take after a signal; longer than a request's deadline."""


class _Server(uvicorn.Server):
    """Server that calls back when it accepts connections, and returns after a signal."""

    def __init__(self, config: uvicorn.Config, on_ready: Callable[[], object]) -> None:
        super().__init__(config)
        self._on_ready = on_ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_ready()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        # Uvicorn raises the signal again at the end, which would kill the process before it stops the model server.
        previous = {number: signal.signal(number, self.handle_exit) for number in (signal.SIGTERM, signal.SIGINT)}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)


def serve_until_stopped(
    app: FastAPI, listener: socket.socket, on_ready: Callable[[], object], metrics: ServiceMetrics
) -> None:
    """Serve until SIGTERM or SIGINT, then finish the running requests, for at most 10 s.

    Args:
        app: the application.
        listener: a bound socket.
        on_ready: called when requests are accepted.
        metrics: counts what is refused before the application sees it.
    """
    config = uvicorn.Config(
        app,
        lifespan="off",
        http=cast(type[asyncio.Protocol], functools.partial(LimitedConnection, metrics)),
        loop="uvloop",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=_DRAIN_SECONDS,
    )
    _Server(config, on_ready).run(sockets=[listener])
