"""TF Serving's gRPC API: Predict, GetModelMetadata and GetModelStatus.

Its other calls (Classify, Regress, MultiInference, HandleReloadConfigRequest) answer UNIMPLEMENTED, which is
what the generated base classes do.
"""

import functools
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any, TypeVar

import grpc

from unified_ranker.core.addresses import cannot_bind
from unified_ranker.model_server.messages import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_service_pb2_grpc,
)
from unified_ranker.model_server.predict import run_predict
from unified_ranker.model_server.status_codes import ServingError, invalid_argument
from unified_ranker.model_server.versions import ModelVersions

SIGNATURE_DEF = "signature_def"

# TF Serving cuts error messages to this length, because gRPC sends them in a header.
_MAX_MESSAGE = 1024
_OPTIONS = [
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.so_reuseport", 0),  # else a second server on the same port would start, and take half the requests
]

Response = TypeVar("Response")


def start_grpc_server(model_versions: ModelVersions, address: str, executor: Executor) -> tuple[grpc.Server, int]:
    """Start the gRPC server.

    Args:
        model_versions: versions of the served model.
        address: `host:port`; port 0 takes a free one.
        executor: runs the requests, as many at once as it has threads.

    Returns:
        The running server and its port.

    Raises:
        UserError: the address cannot be bound.
    """
    server = grpc.server(executor, options=_OPTIONS)
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(PredictionService(model_versions), server)
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(ModelService(model_versions), server)
    try:
        port = server.add_insecure_port(address)
    except RuntimeError as error:
        raise cannot_bind("grpc_port", address, str(error)) from error
    server.start()
    return server, port


def get_model_metadata(
    model_versions: ModelVersions, request: get_model_metadata_pb2.GetModelMetadataRequest
) -> get_model_metadata_pb2.GetModelMetadataResponse:
    """Answer a GetModelMetadata request, which may ask for `signature_def` only.

    Raises:
        ServingError: INVALID_ARGUMENT for another metadata field or none, NOT_FOUND for an unknown model or
            version.
    """
    spec = _model_spec(request)
    if not request.metadata_field:
        raise invalid_argument("GetModelMetadataRequest must specify at least one metadata_field")
    for field in request.metadata_field:
        if field != SIGNATURE_DEF:
            raise invalid_argument(f"Metadata field {field} is not supported")
    model = model_versions.find(spec)
    response = get_model_metadata_pb2.GetModelMetadataResponse()
    response.model_spec.name = spec.name
    response.model_spec.version.value = model.version
    signatures = get_model_metadata_pb2.SignatureDefMap()
    for name, definition in model.definitions.items():
        signatures.signature_def[name].CopyFrom(definition)
    response.metadata[SIGNATURE_DEF].Pack(signatures)
    return response


def get_model_status(
    model_versions: ModelVersions, request: get_model_status_pb2.GetModelStatusRequest
) -> get_model_status_pb2.GetModelStatusResponse:
    """Answer a GetModelStatus request.

    Raises:
        ServingError: NOT_FOUND for an unknown model or version.
    """
    served = model_versions.statuses(_model_spec(request))
    return get_model_status_pb2.GetModelStatusResponse(model_version_status=[version.to_proto() for version in served])


def _model_spec(request: Any) -> model_pb2.ModelSpec:
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    return request.model_spec


def _answering(
    method: Callable[[Any, Any, grpc.ServicerContext], Response],
) -> Callable[[Any, Any, grpc.ServicerContext], Response]:
    """Turn ServingErrors into gRPC statuses, and refuse requests whose deadline has passed."""

    @functools.wraps(method)
    def answer(service: Any, request: Any, context: grpc.ServicerContext) -> Response:
        remaining = context.time_remaining()
        if remaining is not None and remaining <= 0:
            context.abort(grpc.StatusCode.DEADLINE_EXCEEDED, "the deadline passed while the request was queued")
        try:
            return method(service, request, context)
        except ServingError as error:
            cut = len(error.message) > _MAX_MESSAGE
            context.abort(error.code, error.message[:_MAX_MESSAGE] + ("...TRUNCATED" if cut else ""))
            raise  # abort raises by itself; this is for the reader and the type checker

    return answer


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """`tensorflow.serving.PredictionService` over one model."""

    def __init__(self, model_versions: ModelVersions) -> None:
        self._model_versions = model_versions

    @_answering
    def Predict(  # noqa: N802 (the service names its methods, here and below)
        self, request: predict_pb2.PredictRequest, context: grpc.ServicerContext
    ) -> predict_pb2.PredictResponse:
        """Run a signature."""
        return run_predict(self._model_versions.find(_model_spec(request)), request)

    @_answering
    def GetModelMetadata(  # noqa: N802
        self, request: get_model_metadata_pb2.GetModelMetadataRequest, context: grpc.ServicerContext
    ) -> get_model_metadata_pb2.GetModelMetadataResponse:
        """Return the signatures of a version."""
        return get_model_metadata(self._model_versions, request)


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """`tensorflow.serving.ModelService` over one model."""

    def __init__(self, model_versions: ModelVersions) -> None:
        self._model_versions = model_versions

    @_answering
    def GetModelStatus(  # noqa: N802
        self, request: get_model_status_pb2.GetModelStatusRequest, context: grpc.ServicerContext
    ) -> get_model_status_pb2.GetModelStatusResponse:
        """Return the states of the versions."""
        return get_model_status(self._model_versions, request)
