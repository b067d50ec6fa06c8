"""Client of TF Serving over REST, for networks without gRPC. It is slower, because every number is sent as text.

Reference: TF Serving, g3doc/api_rest.md.
"""

import base64
import http.client
import json
import queue
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit

import grpc
import numpy as np

from unified_ranker.core.errors import UserError
from unified_ranker.core.tensor_messages import TensorSpec
from unified_ranker.serving.backends.base import VersionStatus
from unified_ranker.serving.client.called_version import require_one_choice, wait_for_version
from unified_ranker.serving.client.grpc_client import DEFAULT_TIMEOUT, ModelMetadata, SignatureMetadata
from unified_ranker.serving.client.model_server_error import ModelServerError

_CODES = {
    400: grpc.StatusCode.INVALID_ARGUMENT, 401: grpc.StatusCode.UNAUTHENTICATED, 403: grpc.StatusCode.PERMISSION_DENIED,
    404: grpc.StatusCode.NOT_FOUND, 409: grpc.StatusCode.ABORTED, 429: grpc.StatusCode.RESOURCE_EXHAUSTED,
    499: grpc.StatusCode.CANCELLED, 501: grpc.StatusCode.UNIMPLEMENTED, 503: grpc.StatusCode.UNAVAILABLE,
    504: grpc.StatusCode.DEADLINE_EXCEEDED,
}  # fmt: skip


class RestModelClient:
    """Calls one model of a TF Serving server; it has the interface of `ModelClient`.

    Args:
        url: `http://host:port` of the REST API.
        model_name: the model's name on the server.
        version: the version to call; None: the newest that is available.
        timeout: seconds per call, unless the call says otherwise.
        label: the version label to call, in place of a version.
        connections: number of connections that are kept open.

    Raises:
        UserError: the URL is invalid, or both a version and a label are given.
    """

    def __init__(
        self,
        url: str,
        model_name: str = "unified_ranker",
        version: int | None = None,
        timeout: float = DEFAULT_TIMEOUT,
        label: str | None = None,
        connections: int = 4,
    ) -> None:
        parts = urlsplit(url)
        if parts.scheme != "http" or not parts.hostname or not parts.port:
            raise UserError(f"the address of a REST API must be `http://host:port`. Received: `{url}`.")
        require_one_choice(version, label)
        self.address, self.model_name = f"{parts.hostname}:{parts.port}", model_name
        self.version, self.timeout = version, timeout
        chosen = f"/versions/{version}" if version is not None else f"/labels/{label}" if label is not None else ""
        self._path = f"/v1/models/{model_name}{chosen}"
        self._signatures: dict[str, SignatureMetadata] | None = None
        self._idle: queue.LifoQueue[http.client.HTTPConnection] = queue.LifoQueue(connections)

    @property
    def description(self) -> str:
        """See `ModelBackend.description`."""
        return f"the model server at `{self.address}`"

    def start(self) -> None:
        """Do nothing: connections are made when they are first used."""

    def predict(
        self, signature: str, inputs: Mapping[str, np.ndarray], timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """Run a signature; see `ModelClient.predict`.

        Raises:
            ModelServerError: the server refused or did not answer in time.
        """
        until = time.monotonic() + (self.timeout if timeout is None else timeout)
        if self._signatures is None:
            self._signatures = self.metadata(until - time.monotonic()).signatures
        body = {"signature_name": signature, "inputs": {name: _to_json(np.asarray(a)) for name, a in inputs.items()}}
        answer = self._call("POST", ":predict", until - time.monotonic(), body, signature)
        specs = self._signatures[signature].outputs
        outputs = answer["outputs"]
        if len(specs) == 1:
            outputs = {next(iter(specs)): outputs}
        return {name: _from_json(value, specs[name]) for name, value in outputs.items()}

    def metadata(self, timeout: float | None = None) -> ModelMetadata:
        """Return the signatures of the model.

        Raises:
            ModelServerError: as for `predict`.
        """
        answer = self._call("GET", "/metadata", timeout)
        found = answer["metadata"]["signature_def"]["signature_def"]
        signatures = {
            name: SignatureMetadata(_specs(definition["inputs"]), _specs(definition["outputs"]))
            for name, definition in found.items()
            if not name.startswith("__")
        }
        return ModelMetadata(self.model_name, int(answer["model_spec"]["version"]), signatures)

    def status(self, timeout: float | None = None) -> list[VersionStatus]:
        """Return the state of the client's version, or of every version that the server knows.

        Raises:
            ModelServerError: as for `predict`.
        """
        answer = self._call("GET", "", timeout)
        return [
            VersionStatus(int(found["version"]), found["state"], found["status"].get("error_message", ""))
            for found in answer["model_version_status"]
        ]

    def wait_until_available(self, timeout: float) -> int:
        """Wait until the server answers and the model is AVAILABLE; see `ModelClient.wait_until_available`."""
        return wait_for_version(
            self.status, timeout, lambda details: self._error(grpc.StatusCode.DEADLINE_EXCEEDED, details)
        )

    def close(self) -> None:
        """Close the connections."""
        while not self._idle.empty():
            self._idle.get_nowait().close()

    def __enter__(self) -> "RestModelClient":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _call(
        self, method: str, suffix: str, timeout: float | None, body: object = None, signature: str | None = None
    ) -> Any:
        seconds = self.timeout if timeout is None else timeout
        if seconds <= 0:
            raise self._error(grpc.StatusCode.DEADLINE_EXCEEDED, "no time is left", signature)
        connection = self._connection(seconds)
        try:
            connection.request(method, self._path + suffix, None if body is None else json.dumps(body))
            response = connection.getresponse()
            read = response.read()
        except TimeoutError as error:
            connection.close()
            raise self._error(grpc.StatusCode.DEADLINE_EXCEEDED, str(error), signature) from error
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._error(grpc.StatusCode.UNAVAILABLE, str(error) or type(error).__name__, signature) from error
        try:
            self._idle.put_nowait(connection)
        except queue.Full:
            connection.close()
        good = response.status == http.client.OK
        code = _CODES.get(response.status, grpc.StatusCode.INTERNAL)
        try:
            answer = json.loads(read)
        except ValueError as error:
            # Another server than TF Serving answers in HTML, say.
            said = "an answer that is no JSON" if good else f"HTTP {response.status} {response.reason}"
            raise self._error(code, said, signature) from error
        if not good:
            raise self._error(code, str(answer.get("error", answer)), signature)
        return answer

    def _connection(self, seconds: float) -> http.client.HTTPConnection:
        try:
            kept = self._idle.get_nowait()
        except queue.Empty:
            return http.client.HTTPConnection(self.address, timeout=seconds)
        if kept.sock is not None:
            kept.sock.settimeout(seconds)
        kept.timeout = seconds
        return kept

    def _error(self, code: grpc.StatusCode, details: str, signature: str | None = None) -> ModelServerError:
        return ModelServerError(code, details, self.address, self._path.removeprefix("/v1/models/"), signature)


def _specs(infos: Mapping[str, Any]) -> dict[str, TensorSpec]:
    return {name: _spec(info) for name, info in sorted(infos.items())}


def _spec(info: Mapping[str, Any]) -> TensorSpec:
    shape = info["tensor_shape"]
    sizes = tuple(int(dim["size"]) for dim in shape.get("dim", ()))
    name = info["dtype"].removeprefix("DT_").lower()
    dtype = {"float": "float32", "double": "float64", "half": "float16"}.get(name, name)
    return TensorSpec(dtype, None if shape.get("unknown_rank") else tuple(s if s >= 0 else None for s in sizes))


def _to_json(array: np.ndarray) -> Any:
    if array.dtype.kind not in "OUST":
        return array.tolist()
    texts = [v.encode() if isinstance(v, str) else v for v in array.ravel().tolist()]
    coded = [{"b64": base64.b64encode(text).decode("ascii")} for text in texts]
    return np.array([*coded, None], object)[:-1].reshape(array.shape).tolist()


def _from_json(value: Any, spec: TensorSpec) -> np.ndarray:
    if spec.dtype != "string":
        return np.array(value, spec.dtype)
    rank = len(spec.shape) if spec.shape is not None else None
    texts = np.array(value, object)
    if rank is not None and texts.ndim != rank:  # an empty list has lost its other dimensions
        texts = texts.reshape(texts.shape[:rank])
    flat = [base64.b64decode(v["b64"]) if isinstance(v, dict) else v.encode() for v in texts.ravel()]
    return np.array([*flat, None], object)[:-1].reshape(texts.shape)
