"""Model backend `embedded`: the embedded model server as a child process of the service, started again when it dies."""

import logging
import threading
import time
from collections.abc import Mapping, Sequence

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.errors import UserError
from unified_ranker.model_server.process import ModelServerProcess, begin_in_subprocess, finish_start
from unified_ranker.release.layout import Layout
from unified_ranker.serving.backends.base import ModelBackendError, ServedModel, VersionStatus
from unified_ranker.serving.client.grpc_client import ModelClient

_CONNECTIONS = 2
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 30.0
"""Seconds before a child that died is started again: twice as long after each death, up to the longest."""
_STEADY = 60.0
"""Seconds after which a child counts as one that runs, and its death as the first one."""

logger = logging.getLogger(__name__)


class EmbeddedModel:
    """Model in a process of its own, which loads it while the service does other work; see `ModelBackend`.

    While a child that died is being started again, calls fail at once with UNAVAILABLE.

    Raises:
        UserError: the release holds no model.
    """

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self._changing = threading.Lock()
        self._closing = threading.Event()
        self._child = self._begin()
        self._client: ModelClient | None = None

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return "the embedded model server"

    def start(self) -> None:
        """See `ModelBackend.start`."""
        self._finish(self._child)
        threading.Thread(target=self._watch, name="model-server-watch", daemon=True).start()

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """See `ModelBackend.predict`."""
        return self._started().predict(signature, inputs, timeout)

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """See `ModelBackend.status`."""
        return self._started().status(timeout)

    def wait_until_available(self, timeout: float) -> int:
        """See `ModelBackend.wait_until_available`."""
        return self._started().wait_until_available(timeout)

    def close(self) -> None:
        """See `ModelBackend.close`."""
        with self._changing:
            self._closing.set()
            if self._client is not None:
                self._client.close()
            self._child.stop()

    def _begin(self) -> ModelServerProcess:
        return begin_in_subprocess(Layout(self._model.release).model_base, self._model.name)

    def _finish(self, child: ModelServerProcess) -> None:
        """Wait until a child answers, and call it from now on."""
        finish_start(child)
        client = ModelClient(child.grpc_address, self._model.name, self._model.version, connections=_CONNECTIONS)
        with self._changing:
            before, self._client = self._client, client
        if before is not None:
            before.close()

    def _watch(self) -> None:
        """Start the child again whenever it dies, until the backend is closed."""
        pause = _FIRST_PAUSE
        while True:
            started = time.monotonic()
            code = self._child.wait()
            if time.monotonic() - started > _STEADY:
                pause = _FIRST_PAUSE
            if self._closing.is_set():
                return
            logger.error("the model server died with exit code %s and is started again in %g s", code, pause)
            if self._closing.wait(pause):
                return
            pause = min(2 * pause, _LONGEST_PAUSE)
            try:
                with self._changing:
                    if self._closing.is_set():
                        return
                    self._child.kill()  # frees what is left of it
                    self._child = self._begin()
                self._finish(self._child)
            except (UserError, OSError) as error:
                logger.error("the model server could not be started again: %s", error)

    def _started(self) -> ModelClient:
        if self._client is None:
            raise ModelBackendError(f"{self.description} has not started", "UNAVAILABLE")
        return self._client
