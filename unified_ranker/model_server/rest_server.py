"""HTTP server of the REST API, in a thread of this process."""

import socket
import threading

import uvicorn
from fastapi import FastAPI

_GRACE_SECONDS = 5


class _Uvicorn(uvicorn.Server):
    """Uvicorn server with an event for the end of its startup, which uvicorn does not have."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.startup_ended = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.startup_ended.set()


class RestServer:
    """Serves a FastAPI application until it is stopped.

    Args:
        app: the application.
        listener: a bound socket, which the server takes over and closes.
    """

    def __init__(self, app: FastAPI, listener: socket.socket) -> None:
        config = uvicorn.Config(
            app, lifespan="off", access_log=False, log_config=None, timeout_graceful_shutdown=_GRACE_SECONDS
        )
        self._uvicorn = _Uvicorn(config)
        self._listener = listener
        self._thread = threading.Thread(target=self._run, name="model-server-rest", daemon=True)

    def start(self) -> None:
        """Start the thread and wait until it accepts connections.

        Raises:
            RuntimeError: the HTTP server ended instead of starting; the log says why.
        """
        self._thread.start()
        self._uvicorn.startup_ended.wait()
        if not self._uvicorn.started:
            raise RuntimeError("the REST server ended while starting; its log says why")

    def stop(self) -> None:
        """Finish the running requests, for at most 5 s, and end the thread."""
        self._uvicorn.should_exit = True
        self._thread.join()

    def _run(self) -> None:
        try:
            self._uvicorn.run(sockets=[self._listener])
        finally:
            self._listener.close()
            self._uvicorn.startup_ended.set()
