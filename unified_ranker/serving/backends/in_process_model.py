"""Model in the service's own process: a session of TensorFlow, no server."""

import time
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.errors import UserError
from unified_ranker.core.signature_names import RANK
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.backends.base import STATE_AVAILABLE, ModelBackendError, VersionStatus

if TYPE_CHECKING:
    from unified_ranker.model_server.savedmodels import SavedModel


class InProcessModel:
    """Runs a SavedModel in this process; see `ModelBackend`.

    It is loaded in a thread, so that its user may read other files meanwhile; the first call waits for it. A call runs
    in the thread of its caller, one operation after the other (see `load_saved_model`). `timeout` is checked before a
    call; one that has begun runs to its end, which takes milliseconds.

    Args:
        directory: of the SavedModel.
        version: number of the release that it belongs to.
    """

    def __init__(self, directory: Path, version: int) -> None:
        self.version = version
        self._directory = directory
        loader = ThreadPoolExecutor(1, thread_name_prefix="load-model")
        self._loading: Future[SavedModel] | None = loader.submit(_load, directory, version)
        loader.shutdown(wait=False)

    @classmethod
    def of_release(cls, release: Path) -> "InProcessModel":
        """Load the model of a release."""
        return cls(Layout(release).saved_model(), read_manifest(release).version)

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return "the model in this process"

    def start(self) -> None:
        """Wait for the model, and run its recorded requests, because first calls are slow; see `ModelBackend.start`."""
        from unified_ranker.model_server.warmup import replay_warmup

        model = self._model("start")
        try:
            # `rank` is for clients of a model server: the service encodes and ranks in two calls.
            replay_warmup(model, self._directory, left_out=(RANK,))
        except ValueError as error:
            raise _refused(self._directory, error) from error

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """See `ModelBackend.predict`."""
        from unified_ranker.model_server.status_codes import ServingError

        until = None if timeout is None else time.monotonic() + timeout
        model = self._model(signature)
        if until is not None and time.monotonic() >= until:
            raise self._error("DEADLINE_EXCEEDED", "no time is left", signature)
        fed = {name: _fed(array) for name, array in inputs.items()}
        try:
            return model.signature(signature).run(fed)
        except ServingError as error:
            for name, array in fed.items():
                if not _is_tensor(array):
                    raise TypeError(f"input `{name}` of signature `{signature}` must be numbers or text") from error
            raise self._error(error.code.name, error.message, signature) from error

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """See `ModelBackend.status`."""
        return [VersionStatus(self.version, STATE_AVAILABLE)]

    def wait_until_available(self, timeout: float) -> int:
        """See `ModelBackend.wait_until_available`."""
        return self.version

    def close(self) -> None:
        """Let go of the model; its memory is freed when no call runs any more."""
        self._loading = None

    def _model(self, signature: str) -> "SavedModel":
        loading = self._loading
        if loading is None:
            raise self._error("UNAVAILABLE", "it has been closed", signature)
        return loading.result()

    def _error(self, reason: str, what: str, signature: str) -> ModelBackendError:
        return ModelBackendError(
            f"{self.description}, signature `{signature}` of version {self.version}: {reason}: {what}", reason
        )


def _load(directory: Path, version: int) -> "SavedModel":
    """Load a SavedModel.

    Raises:
        UserError: it cannot be loaded, or needs ops that are not installed.
    """
    # Imported here, because TensorFlow takes seconds to import.
    from unified_ranker.model_server.plain_tensorflow import tf
    from unified_ranker.model_server.savedmodels import load_saved_model

    try:
        return load_saved_model(directory, version)
    except UserError:
        raise
    except (OSError, ValueError, RuntimeError, tf.errors.OpError) as error:
        raise _refused(directory, error) from error


def _refused(directory: Path, error: Exception) -> UserError:
    return UserError(
        f"a release must hold a model that TensorFlow loads and runs. Received: the one at `{directory}`: {error}. "
        "Export it again."
    )


def _fed(array: np.ndarray) -> np.ndarray:
    """Return an array as a session takes it: text as objects."""
    array = np.asarray(array)
    return array.astype(object) if array.dtype.kind in "SU" else array


def _is_tensor(array: np.ndarray) -> bool:
    return array.dtype != object or all(isinstance(value, str | bytes) for value in array.flat)
