"""Model in the service's own process: a session of TensorFlow, no server."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.errors import UserError
from unified_ranker.core.extras import text_ops
from unified_ranker.core.signature_names import RANK
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.backends.base import STATE_AVAILABLE, ModelBackendError, VersionStatus
from unified_ranker.serving.backends.native_session import NativeSession, SessionError, tensorflow_library
from unified_ranker.serving.backends.recorded_calls import recorded_calls


class InProcessModel:
    """Runs a SavedModel in this process; see `ModelBackend`.

    It is loaded in a thread, so that its user may read other files meanwhile; the first call waits for it. `timeout` is
    checked before a call; one that has begun runs to its end, which takes milliseconds.

    Args:
        directory: of the SavedModel.
        version: number of the release that it belongs to.
        with_text_ops: whether it holds ops of TensorFlow Text.

    Raises:
        UserError: it holds such ops, and they are not installed.
    """

    def __init__(self, directory: Path, version: int, with_text_ops: bool = False) -> None:
        if with_text_ops:
            text_ops()
        self.version = version
        self._directory = directory
        loader = ThreadPoolExecutor(1, thread_name_prefix="load-model")
        self._loading: Future[NativeSession] | None = loader.submit(NativeSession, directory, tensorflow_library())
        loader.shutdown(wait=False)

    @classmethod
    def of_release(cls, release: Path) -> "InProcessModel":
        """Load the model of a release."""
        manifest = read_manifest(release)
        return cls(Layout(release).saved_model(), manifest.version, manifest.has_text_ops)

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return "the model in this process"

    def start(self) -> None:
        """Wait for the model, and run its recorded requests, because first calls are slow; see `ModelBackend.start`."""
        try:
            session = self._session("start")
            for signature, inputs in recorded_calls(self._directory):
                # `rank` is for clients of a model server: the service encodes and ranks in two calls.
                if signature != RANK:
                    session.run(signature, inputs)
        except (SessionError, ValueError, TypeError) as error:
            raise UserError(
                "a release must hold a model that TensorFlow loads and runs. Received: the one at "
                f"`{self._directory}`: {error}. Export it again."
            ) from error

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """See `ModelBackend.predict`."""
        until = None if timeout is None else time.monotonic() + timeout
        try:
            session = self._session(signature)
            if until is not None and time.monotonic() >= until:
                raise self._error("DEADLINE_EXCEEDED", "no time is left", signature)
            return session.run(signature, inputs)
        except SessionError as error:
            raise self._error(error.reason, str(error), signature) from error

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """See `ModelBackend.status`."""
        return [VersionStatus(self.version, STATE_AVAILABLE)]

    def wait_until_available(self, timeout: float) -> int:
        """See `ModelBackend.wait_until_available`."""
        return self.version

    def close(self) -> None:
        """Let go of the model; its memory is freed when no call runs any more."""
        self._loading = None

    def _session(self, signature: str) -> NativeSession:
        loading = self._loading
        if loading is None:
            raise self._error("UNAVAILABLE", "it has been closed", signature)
        return loading.result()

    def _error(self, reason: str, what: str, signature: str) -> ModelBackendError:
        return ModelBackendError(
            f"{self.description}, signature `{signature}` of version {self.version}: {reason}: {what}", reason
        )
