"""Model in the service's own process: TensorFlow, no server."""

import contextlib
from collections.abc import Mapping, Sequence
from pathlib import Path

import grpc
import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.backends.base import STATE_AVAILABLE, ModelBackendError, VersionStatus
from unified_ranker.towers.tensorflow import text_ops, tf

_REASONS = {code.value[0]: code.name for code in grpc.StatusCode}


def one_thread_per_operation() -> None:
    """Let an operation of TensorFlow use one processor: for a process that answers a batch on each of them.

    Call it before the first operation; later it does nothing. Measured on two processors, batches of 16: 4.5 ms of
    processor time a request for 7.2, since operations that share processors wait for each other.
    """
    with contextlib.suppress(RuntimeError):
        tf.config.threading.set_intra_op_parallelism_threads(1)


class InProcessModel:
    """Runs a SavedModel in this process; see `ModelBackend`.

    `timeout` is checked before a call; a call that has begun runs to its end.

    Args:
        saved_model: its directory.
        version: number of the release that it belongs to.
        with_text_ops: whether it holds ops of TensorFlow Text.

    Raises:
        UserError: it holds such ops, and they are not installed.
    """

    def __init__(self, saved_model: Path, version: int, with_text_ops: bool = False) -> None:
        if with_text_ops:
            text_ops()
        self.version = version
        # Kept: the signatures hold no reference to the variables.
        self._loaded = tf.saved_model.load(str(saved_model), tags=["serve"])

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
        """Do nothing: the model has been loaded."""

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """See `ModelBackend.predict`."""
        if timeout is not None and timeout <= 0:
            raise self._error("DEADLINE_EXCEEDED", "no time is left", signature)
        if signature not in self._loaded.signatures:
            known = ", ".join(sorted(self._loaded.signatures))
            raise self._error("FAILED_PRECONDITION", f"it has no such signature. Known: {known}", signature)
        run = self._loaded.signatures[signature]
        wanted = run.structured_input_signature[1]
        if inputs.keys() != wanted.keys():
            raise self._error(
                "INVALID_ARGUMENT", f"its inputs are {sorted(wanted)}. Received: {sorted(inputs)}", signature
            )
        try:
            outputs = run(**{name: _tensor(name, signature, array) for name, array in inputs.items()})
        except tf.errors.OpError as error:
            raise self._error(_REASONS.get(error.error_code, "UNKNOWN"), error.message, signature) from error
        except (TypeError, ValueError) as error:
            if isinstance(error, _NoTensorError):
                raise
            raise self._error("INVALID_ARGUMENT", str(error), signature) from error
        return {name: np.array(value.numpy()) for name, value in outputs.items()}

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """See `ModelBackend.status`."""
        return [VersionStatus(self.version, STATE_AVAILABLE)]

    def wait_until_available(self, timeout: float) -> int:
        """See `ModelBackend.wait_until_available`."""
        return self.version

    def close(self) -> None:
        """Do nothing: the memory is freed with the object."""

    def _error(self, reason: str, what: str, signature: str) -> ModelBackendError:
        return ModelBackendError(
            f"{self.description}, signature `{signature}` of version {self.version}: {reason}: {what}", reason
        )


class _NoTensorError(TypeError):
    """Error: TensorFlow has no type for an array."""


def _tensor(name: str, signature: str, array: np.ndarray) -> tf.Tensor:
    try:
        return tf.constant(array)
    except (TypeError, ValueError) as error:
        raise _NoTensorError(f"input `{name}` of signature `{signature}`: {error}") from error
