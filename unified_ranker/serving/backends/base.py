"""Contract of the model backend, which runs the model of a release for the ranking service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.registry import Registry

STATE_AVAILABLE = "AVAILABLE"
"""State of a version that can answer."""


class ModelBackendError(RuntimeError):
    """Error: a call to the model failed, or was not answered in time.

    Attributes:
        reason: gRPC's status name, such as "DEADLINE_EXCEEDED".
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version: START, LOADING, AVAILABLE, UNLOADING or END, and its error, if it failed."""

    version: int
    state: str
    error: str = ""


class ModelBackend(Protocol):
    """Runs one version of a model. Safe to use from several threads; processes that it starts, it also stops."""

    @property
    def description(self) -> str:
        """Description of the model in messages, such as "the model server at `127.0.0.1:8500`"."""

    def start(self) -> None:
        """Wait until the backend is ready to be called, such as a process that it started.

        Raises:
            UserError: it could not start.
        """

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """Run a signature.

        Args:
            signature: its name.
            inputs: one array per input, of the type that the signature wants; strings as `str` or `bytes`.
            timeout: seconds that the call may take; None: the backend's own limit.

        Returns:
            One array per output, which the caller may change; string outputs are object arrays of `bytes`.

        Raises:
            ModelBackendError: the model has no such signature or inputs, failed, or did not answer in time.
            TypeError: an array has no TensorFlow type.
        """

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """Return the state of the version.

        Raises:
            ModelBackendError: the version is not known, or there was no answer within `timeout` seconds.
        """

    def wait_until_available(self, timeout: float) -> int:
        """Wait until the version is AVAILABLE, at most `timeout` seconds, and return its number.

        Raises:
            ModelBackendError: it is not; the message has the last seen state.
        """

    def close(self) -> None:
        """Stop the backend and the processes that it started; a second call does nothing."""


@dataclass(frozen=True)
class ServedModel:
    """Model that a backend is to run.

    Attributes:
        release: directory of the release that the model belongs to.
        name: of the model on a model server.
        version: number of the release.
    """

    release: Path
    name: str
    version: int


OpenModel = Callable[[ServedModel], ModelBackend]
"""Opens a backend of a model; it may still be starting."""

MODEL_BACKENDS: Registry[Callable[[str, ServedModel], ModelBackend]] = Registry("model backend")
"""Openers of a backend at an address, by the address's scheme (`grpc` of a mere `host:port`).

They raise `UserError` where the address has another form.
"""
