"""Model backend `embedded`: the embedded model server as a child process of the service."""

from collections.abc import Mapping, Sequence

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.model_server.process import begin_in_subprocess, finish_start
from unified_ranker.release.layout import Layout
from unified_ranker.serving.backends.base import ModelBackendError, ServedModel, VersionStatus
from unified_ranker.serving.client.grpc_client import ModelClient

_CONNECTIONS = 2


class EmbeddedModel:
    """Model in a process of its own, which loads it while the service does other work; see `ModelBackend`.

    Raises:
        UserError: the release holds no model.
    """

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        self._child = begin_in_subprocess(Layout(model.release).model_base, model.name)
        self._client: ModelClient | None = None

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return "the embedded model server"

    def start(self) -> None:
        """See `ModelBackend.start`."""
        finish_start(self._child)
        address = self._child.grpc_address
        self._client = ModelClient(address, self._model.name, self._model.version, connections=_CONNECTIONS)

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
        if self._client is not None:
            self._client.close()
        self._child.stop()

    def _started(self) -> ModelClient:
        if self._client is None:
            raise ModelBackendError(f"{self.description} has not started", "UNAVAILABLE")
        return self._client
