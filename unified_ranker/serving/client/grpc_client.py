"""Client of TF Serving over gRPC without TensorFlow, for `tensorflow/serving` and the embedded model server."""

import itertools
import time
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Any

import grpc
import numpy as np

from unified_ranker.core.tensor_messages import TensorSpec
from unified_ranker.serving.backends.base import VersionStatus
from unified_ranker.serving.client import wire
from unified_ranker.serving.client.called_version import require_one_choice, wait_for_version
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.client.tensors import read_spec, read_tensor, write_tensor

DEFAULT_TIMEOUT = 5.0
"""Timeout of a call in seconds."""

_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.enable_http_proxy", 0),  # a model server is near, never behind the proxy of the environment
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.min_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 1000),
    ("grpc.use_local_subchannel_pool", 1),  # otherwise all channels to an address share one connection
]
_RETRIED = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED)
"""Codes of calls that the server has not begun, because it is down or its queue is full: only these are retried."""
_METHODS = {
    "Predict": ("PredictionService", wire.PredictRequest, wire.PredictResponse),
    "GetModelMetadata": ("PredictionService", wire.GetModelMetadataRequest, wire.GetModelMetadataResponse),
    "GetModelStatus": ("ModelService", wire.GetModelStatusRequest, wire.GetModelStatusResponse),
}


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

    Where a server is down or its queue is full, the call is tried once more on the next connection, and so on the next
    replica, if time is left. A call that may have begun (DEADLINE_EXCEEDED, INTERNAL …) is never repeated.

    Args:
        address: `host:port` of the gRPC API; several replicas are separated by commas.
        model_name: the model's name on the server.
        version: the version to call; None: the newest that is available.
        timeout: seconds per call, unless the call says otherwise.
        label: the version label to call, such as `canary`, in place of a version.
        connections: number of connections to each address, used in turn.

    Raises:
        UserError: both a version and a label are given.
    """

    def __init__(
        self,
        address: str,
        model_name: str = "unified_ranker",
        version: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        label: str | None = None,
        connections: int = 1,
    ) -> None:
        require_one_choice(version, label)
        self.address = address
        self.model_name = model_name
        self.version = version
        self.label = label
        self.timeout = timeout
        addresses = [one.strip() for one in address.split(",")] * connections
        self._channels = [
            (one, grpc.insecure_channel(one, options=[*_OPTIONS, ("unified_ranker.connection", number)]))
            for number, one in enumerate(addresses)
        ]
        self._stubs = [(one, {name: _stub(channel, name) for name in _METHODS}) for one, channel in self._channels]
        self._turn = itertools.count()

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return f"the model server at `{self.address}`"

    def start(self) -> None:
        """Do nothing: connections are made when they are first used."""

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """Run a signature.

        Args:
            signature: its name.
            inputs: one array per input, of the type that the signature wants; strings as `str` or `bytes`.
            timeout: seconds; None: the client's.

        Returns:
            One array per output, which the caller may change; string outputs are object arrays of `bytes`.

        Raises:
            ModelServerError: the server refused or did not answer in time.
            TypeError: an array has no TensorFlow type.
        """
        request = wire.PredictRequest(model_spec=self._spec(signature))
        for name, array in inputs.items():
            try:
                write_tensor(request.inputs[name], np.asarray(array))
            except TypeError as error:
                raise TypeError(f"input `{name}` of signature `{signature}`: {error}") from error
        response = self._call("Predict", request, timeout, signature)
        return {name: read_tensor(tensor) for name, tensor in response.outputs.items()}

    def metadata(self, timeout: float | None = None) -> ModelMetadata:
        """Return the signatures of the model, with the types and shapes of their inputs and outputs.

        Raises:
            ModelServerError: as for `predict`.
        """
        request = wire.GetModelMetadataRequest(model_spec=self._spec(), metadata_field=["signature_def"])
        response = self._call("GetModelMetadata", request, timeout)
        definitions = wire.SignatureDefMap.FromString(response.metadata["signature_def"].value)
        signatures = {
            name: SignatureMetadata(
                {key: read_spec(info) for key, info in sorted(definition.inputs.items())},
                {key: read_spec(info) for key, info in sorted(definition.outputs.items())},
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
            ModelServerError: DEADLINE_EXCEEDED, with the last seen state; or an error that waiting cannot resolve.
        """
        return wait_for_version(
            lambda remaining: self._status(remaining, wait_for_ready=True),
            timeout,
            lambda details: self._error(grpc.StatusCode.DEADLINE_EXCEEDED, details),
        )

    def close(self) -> None:
        """Close the connections."""
        for _, channel in self._channels:
            channel.close()

    def __enter__(self) -> "ModelClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _spec(self, signature: str = "") -> Any:
        spec = wire.ModelSpec(name=self.model_name, signature_name=signature)
        if self.version is not None:
            spec.version.value = self.version
        elif self.label is not None:
            spec.version_label = self.label
        return spec

    def _status(self, timeout: float | None, wait_for_ready: bool) -> list[VersionStatus]:
        request = wire.GetModelStatusRequest(model_spec=self._spec())
        response = self._call("GetModelStatus", request, timeout, wait_for_ready=wait_for_ready)
        return [
            VersionStatus(status.version, wire.STATES.get(status.state, "UNKNOWN"), status.status.error_message)
            for status in response.model_version_status
        ]

    def _call(
        self,
        method: str,
        request: Any,
        timeout: float | None,
        signature: str | None = None,
        wait_for_ready: bool = False,
    ) -> Any:
        seconds = self.timeout if timeout is None else timeout
        if seconds <= 0:
            # gRPC may answer such a call, if the answer is quick.
            raise self._error(grpc.StatusCode.DEADLINE_EXCEEDED, "no time is left", signature)
        until = time.monotonic() + seconds
        turn, last = next(self._turn), None
        for attempt in range(min(2, len(self._stubs))):
            address, stubs = self._stubs[(turn + attempt) % len(self._stubs)]
            remaining = until - time.monotonic()
            if last is not None and remaining <= 0:
                break
            try:
                return stubs[method](request, timeout=max(remaining, 0.0), wait_for_ready=wait_for_ready)
            except grpc.RpcError as error:
                last = self._error(error.code(), error.details() or "", signature, address)
                last.__cause__ = error
                if error.code() not in _RETRIED:
                    break
        raise last if last is not None else self._error(grpc.StatusCode.UNAVAILABLE, "no address", signature)

    def _error(
        self, code: grpc.StatusCode, details: str, signature: str | None = None, address: str | None = None
    ) -> ModelServerError:
        version = "" if self.version is None else f" version {self.version}"
        label = "" if self.label is None else f" label {self.label}"
        return ModelServerError(code, details, address or self.address, f"{self.model_name}{version}{label}", signature)


def _stub(channel: grpc.Channel, method: str) -> Any:
    service, request, response = _METHODS[method]
    return channel.unary_unary(
        f"/tensorflow.serving.{service}/{method}",
        request_serializer=request.SerializeToString,
        response_deserializer=response.FromString,
    )
