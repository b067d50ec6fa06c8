"""Contract of the model backend: what runs the model of a release for the ranking service."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np

from unified_ranker.core.arrays import Arrays
from unified_ranker.core.registry import Registry

STATE_AVAILABLE = "AVAILABLE"
"""State of a version that answers."""


class ModelBackendError(RuntimeError):
    """A call to the model failed, or was not answered in time.

    Attributes:
        reason: gRPC's name of the kind of failure, such as "DEADLINE_EXCEEDED".
    """

    def __init__(self, message: str, reason: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version: START, LOADING, AVAILABLE, UNLOADING or END, and why it failed, if it did."""

    version: int
    state: str
    error: str = ""


class ModelBackend(Protocol):
    """Runs one version of a model. Safe to use from several threads; what it begins of its own, it ends."""

    @property
    def place(self) -> str:
        """Place of the model in messages, such as "the model server at `127.0.0.1:8500`"."""

    def start(self) -> None:
        """Wait until what the backend itself has begun is there, such as a process of its own.

        Raises:
            UserError: it could not begin.
        """

    def predict(self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None) -> Arrays:
        """Run a signature.

        Args:
            signature: its name.
            inputs: one array per input, of the type that the signature wants; strings as `str` or `bytes`.
            timeout: seconds that the call may take; None: the backend's own patience.

        Returns:
            One array per output, of the caller's own; string outputs are object arrays of `bytes`.

        Raises:
            ModelBackendError: the model has no such signature or inputs, failed, or did not answer in time.
            TypeError: an array has no TensorFlow type.
        """

    def status(self, timeout: float | None = None) -> Sequence[VersionStatus]:
        """Return the state of the version.

        Raises:
            ModelBackendError: it is not known, or there was no answer within `timeout` seconds.
        """

    def wait_until_available(self, timeout: float) -> int:
        """Wait until the version is AVAILABLE, at most `timeout` seconds, and return its number.

        Raises:
            ModelBackendError: it is not, with what was last seen.
        """

    def close(self) -> None:
        """End the backend and what it began; once more does nothing."""


@dataclass(frozen=True)
class ServedModel:
    """Model that a backend is to run.

    Attributes:
        release: directory of the release that the model belongs to.
        name: by which a model server knows it.
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
