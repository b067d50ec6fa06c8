"""TF Serving's REST API: predict, status and metadata.

Reference: TF Serving, g3doc/api_rest.md.
"""

import asyncio
import json
import logging
import re
from collections.abc import Callable
from concurrent.futures import Executor

import grpc
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import HTTPException
from google.protobuf import json_format

from unified_ranker.core.signature_names import DEFAULT_SIGNATURE
from unified_ranker.model_server.grpc_api import SIGNATURE_DEF, get_model_metadata, get_model_status
from unified_ranker.model_server.messages import get_model_metadata_pb2, get_model_status_pb2, model_pb2
from unified_ranker.model_server.rest_request import InputSpecs, parse_predict
from unified_ranker.model_server.rest_response import format_outputs
from unified_ranker.model_server.status_codes import ServingError, http_status, invalid_argument
from unified_ranker.model_server.versions import ModelVersions

TIMEOUT_SECONDS = 30.0
"""TF Serving's default of --rest_api_timeout_in_ms."""

_MODEL = r"(?i:/v1/models/(?P<name>[^/:]+)(?:/versions/(?P<version>\d+)|/labels/(?P<label>[^/:]+))?)"
_POST_PATH = re.compile(_MODEL + r"(?i::(?P<method>predict|classify|regress))")
_GET_PATH = re.compile(_MODEL + r"(?i:/(?P<resource>metadata))?")
_MAX_VERSION = 2**63 - 1

logger = logging.getLogger(__name__)


def create_rest_app(model_versions: ModelVersions, executor: Executor, timeout: float = TIMEOUT_SECONDS) -> FastAPI:
    """Build the HTTP application.

    Args:
        model_versions: versions of the served model.
        executor: runs the requests.
        timeout: seconds after which a request is answered with 504.
    """
    app = FastAPI(openapi_url=None)

    @app.api_route("/v1/{rest:path}", methods=["GET", "POST"])
    async def answer(request: Request) -> Response:
        body = await request.body()
        work = asyncio.get_running_loop().run_in_executor(
            executor, _answer, model_versions, request.method, request.scope["path"], body
        )
        try:
            return _json_response(await asyncio.wait_for(work, timeout))
        except ServingError as error:
            return _error_response(http_status(error.code), error.message)
        except TimeoutError:
            deadline = http_status(grpc.StatusCode.DEADLINE_EXCEEDED)
            return _error_response(deadline, f"the request took longer than {timeout:g} s")

    @app.exception_handler(404)
    @app.exception_handler(405)
    async def refuse(request: Request, error: HTTPException) -> Response:
        return _error_response(error.status_code, f"{error.detail}: {request.method} {request.scope['path']}")

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        logger.error("%s %s failed", request.method, request.scope["path"], exc_info=error)
        return _error_response(http_status(grpc.StatusCode.INTERNAL), f"{type(error).__name__}: {error}")

    return app


def _answer(model_versions: ModelVersions, http_method: str, path: str, body: bytes) -> bytes:
    pattern = _POST_PATH if http_method == "POST" else _GET_PATH
    match = pattern.fullmatch(path)
    if match is None:
        raise invalid_argument(f"Malformed request: {http_method} {path}")
    spec = model_pb2.ModelSpec(name=match["name"])
    if match["version"] is not None:
        version = int(match["version"])
        if version > _MAX_VERSION:
            raise invalid_argument(f"Failed to convert version: {version} to numeric.")
        spec.version.value = version
    elif match["label"] is not None:
        spec.version_label = match["label"]
    if http_method == "POST":
        method = match["method"].lower()
        if method != "predict":
            raise ServingError(grpc.StatusCode.UNIMPLEMENTED, f"`{method}` is not offered; use `predict`")
        return _predict(model_versions, spec, body)
    return (_metadata if match["resource"] else _status)(model_versions, spec)


def _predict(model_versions: ModelVersions, spec: model_pb2.ModelSpec, body: bytes) -> bytes:
    parsed = parse_predict(body, _input_specs(model_versions, spec))
    signature = model_versions.find(spec).signature(parsed.signature_name)
    return format_outputs(signature.run(parsed.inputs), parsed.row)


def _input_specs(model_versions: ModelVersions, spec: model_pb2.ModelSpec) -> Callable[[str], InputSpecs]:
    def find(signature_name: str) -> InputSpecs:
        name = signature_name or DEFAULT_SIGNATURE
        signatures = model_versions.find(spec).signatures
        if name not in signatures:
            raise invalid_argument(f'Serving signature name: "{name}" not found in signature def')
        return signatures[name].inputs

    return find


def _status(model_versions: ModelVersions, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
    return _to_json(json_format.MessageToDict(get_model_status(model_versions, request), **_JSON_FORM))


def _metadata(model_versions: ModelVersions, spec: model_pb2.ModelSpec) -> bytes:
    request = get_model_metadata_pb2.GetModelMetadataRequest(model_spec=spec, metadata_field=[SIGNATURE_DEF])
    response = get_model_metadata(model_versions, request)
    signatures = get_model_metadata_pb2.SignatureDefMap()
    response.metadata[SIGNATURE_DEF].Unpack(signatures)
    # Not MessageToDict of the whole: TF Serving writes the Any's content without its `@type`.
    return _to_json(
        {
            "model_spec": json_format.MessageToDict(response.model_spec, **_JSON_FORM),
            "metadata": {SIGNATURE_DEF: json_format.MessageToDict(signatures, **_JSON_FORM)},
        }
    )


_JSON_FORM = {"preserving_proto_field_name": True, "always_print_fields_with_no_presence": True}


def _to_json(document: object) -> bytes:
    return json.dumps(document, indent=1).encode()


def _json_response(body: bytes, status: int = 200) -> Response:
    return Response(body, status_code=status, media_type="application/json")


def _error_response(status: int, message: str) -> Response:
    return _json_response(json.dumps({"error": message}).encode(), status)
