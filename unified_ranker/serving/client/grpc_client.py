"""A TF Serving client over gRPC, for `tensorflow/serving` and the embedded model server alike.

It needs TensorFlow, because TF Serving's messages are made of TensorFlow's (see `messages`).
"""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import numpy as np

from unified_ranker.serving.model_server.messages import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from unified_ranker.serving.model_server.tensor_protos import TensorSpec, fill_proto, from_proto

DEFAULT_TIMEOUT = 5.0
"""Seconds."""

_POLL_SECONDS = 0.05
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a model server is a neighbour, never behind the proxy of the environment
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
]


class ModelServerError(RuntimeError):
    """A call to the model server failed.

    Attributes:
        code: the gRPC status code.
        details: what the server (or gRPC) said.
        address: `host:port` that was called.
        model: the model's name, with its version if one was asked for.
        signature: the signature that was called; None for status and metadata.
    """

    def __init__(
        self, code: grpc.StatusCode, details: str, address: str, model: str, signature: str | None = None
    ) -> None:
        of = f"signature `{signature}` of " if signature is not None else ""
        super().__init__(f"model server at `{address}`, {of}model `{model}`: {code.name}: {details}")
        self.code = code
        self.details = details
        self.address = address
        self.model = model
        self.signature = signature


@dataclass(frozen=True)
class VersionStatus:
    """The state of a version: START, LOADING, AVAILABLE, UNLOADING or END, and why it failed, if it did."""

    version: int
    state: str
    error: str


@dataclass(frozen=True)
class SignatureMetadata:
    """The inputs and outputs of a signature."""

    inputs: dict[str, TensorSpec]
    outputs: dict[str, TensorSpec]


@dataclass(frozen=True)
class ModelMetadata:
    """The signatures of the version that answers."""

    name: str
    version: int
    signatures: dict[str, SignatureMetadata]


class ModelClient:
    """Calls one model of a TF Serving server. Safe to use from several threads; it connects when first used.

    Args:
        address: `host:port` of the gRPC API.
        model_name: the model's name on the server.
        version: the version to call; None: the newest that is available.
        timeout: seconds per call, unless the call says otherwise.
    """

    def __init__(
        self,
        address: str,
        model_name: str = "unified_ranker",
        version: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
    ) -> None:
        self.address = address
        self.model_name = model_name
        self.version = version
        self.timeout = timeout
        self._channel = grpc.insecure_channel(address, options=_OPTIONS)
        self._prediction = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        self._model = model_service_pb2_grpc.ModelServiceStub(self._channel)

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            signature: its name.
            inputs: one array per input, of the type that the signature wants; strings as `str` or `bytes`.
            timeout: seconds; None: the client's.

        Returns:
            One array per output, of the caller's own; string outputs are object arrays of `bytes`.

        Raises:
            ModelServerError: the server refused or did not answer in time.
            TypeError: an array has no TensorFlow type.
        """
        request = predict_pb2.PredictRequest(model_spec=self._spec(signature))
        for name, array in inputs.items():
            try:
                fill_proto(request.inputs[name], np.asarray(array))
            except TypeError as error:
                raise TypeError(f"input `{name}` of signature `{signature}`: {error}") from error
        response = self._call(self._prediction.Predict, request, timeout, signature)
        return {name: np.require(from_proto(p), requirements="W") for name, p in response.outputs.items()}

    def metadata(self, timeout: float | None = None) -> ModelMetadata:
        """Return the signatures of the model, with the types and shapes of their inputs and outputs.

        Raises:
            ModelServerError: as for `predict`.
        """
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=self._spec(), metadata_field=["signature_def"]
        )
        response = self._call(self._prediction.GetModelMetadata, request, timeout)
        definitions = get_model_metadata_pb2.SignatureDefMap()
        response.metadata["signature_def"].Unpack(definitions)
        signatures = {
            name: SignatureMetadata(
                {key: TensorSpec.from_info(info) for key, info in sorted(definition.inputs.items())},
                {key: TensorSpec.from_info(info) for key, info in sorted(definition.outputs.items())},
            )
            for name, definition in definitions.signature_def.items()
            if not name.startswith("__")  # TensorFlow's own, such as __saved_model_init_op
        }
        return ModelMetadata(response.model_spec.name, response.model_spec.version.value, signatures)

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """Return the state of the client's version, or of every version that the server knows.

        Raises:
            ModelServerError: as for `predict`; NOT_FOUND when the server knows none.
        """
        return self._status(timeout, wait_for_ready=False)

    def wait_until_available(self, timeout: float) -> int:
        """Wait until the server answers and the model is AVAILABLE, and return the version that is.

        Args:
            timeout: seconds.

        Raises:
            ModelServerError: DEADLINE_EXCEEDED, with what was last seen; or what waiting will not mend, as it came.
        """
        deadline = time.monotonic() + timeout
        seen = "no answer"
        while (remaining := deadline - time.monotonic()) > 0:
            try:
                statuses = self._status(remaining, wait_for_ready=True)
            except ModelServerError as error:
                if error.code in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.NOT_FOUND):
                    seen = f"{error.code.name}: {error.details}"
                elif error.code is not grpc.StatusCode.DEADLINE_EXCEEDED:
                    raise
            else:
                available = [status.version for status in statuses if status.state == "AVAILABLE"]
                if available:
                    return max(available)
                seen = ", ".join(f"version {s.version} {s.state} {s.error}".rstrip() for s in statuses)
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))
        raise self._error(grpc.StatusCode.DEADLINE_EXCEEDED, f"not AVAILABLE within {timeout:g} s; last seen: {seen}")

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spec(self, signature: str = "") -> model_pb2.ModelSpec:
        spec = model_pb2.ModelSpec(name=self.model_name, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        return spec

    def _status(self, timeout: float | None, wait_for_ready: bool) -> list[VersionStatus]:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=self._spec())
        response = self._call(self._model.GetModelStatus, request, timeout, wait_for_ready=wait_for_ready)
        state_name = get_model_status_pb2.ModelVersionStatus.State.Name
        return [
            VersionStatus(status.version, state_name(status.state), status.status.error_message)
            for status in response.model_version_status
        ]

    def _call(
        self,
        method: Any,
        request: Any,
        timeout: float | None,
        signature: str | None = None,
        wait_for_ready: bool = False,
    ) -> Any:
        seconds = self.timeout if timeout is None else timeout
        try:
            return method(request, timeout=seconds, wait_for_ready=wait_for_ready)
        except grpc.RpcError as error:
            raise self._error(error.code(), error.details() or "", signature) from error

    def _error(self, code: grpc.StatusCode, details: str, signature: str | None = None) -> ModelServerError:
        version = "" if self.version is None else f" version {self.version}"
        return ModelServerError(code, details, self.address, f"{self.model_name}{version}", signature)
