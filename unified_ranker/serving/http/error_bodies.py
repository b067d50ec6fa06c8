"""Errors of the HTTP API, which all have one form of body."""

import logging
import reprlib
from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.events.base import StoreError
from unified_ranker.serving.answering.model_outputs import ModelOutputError
from unified_ranker.serving.backends.base import ModelBackendError
from unified_ranker.serving.http.admission import OverloadedError
from unified_ranker.serving.http.bodies import (
    TOO_MANY_FIELDS,
    ErrorResponse,
    FieldError,
    HistoryEvent,
    RecommendRequest,
    ReportedEvent,
    error_body,
)
from unified_ranker.serving.http.request_context import REQUEST_ID, request_id_of
from unified_ranker.serving.service.ranking_service import UnavailableError
from unified_ranker.serving.service.releases import BusyError

RETRY_SECONDS = 1
"""Seconds after which a client that got a 503 may try again."""

_MAX_DETAILS = 10
_MAX_ECHO = 80
_MAX_MESSAGE = 500
_SHORT = reprlib.Repr()
"""Repeats the beginning of a value of any size."""
_SHORT.maxlist = _SHORT.maxdict = _SHORT.maxstring = _SHORT.maxlong = _SHORT.maxother = _MAX_ECHO

logger = logging.getLogger(__name__)

_FORMS: dict[str, type[BaseModel]] = {"history": HistoryEvent, "events": ReportedEvent}
"""Models of the entries of a body's lists."""

Responses = dict[int | str, dict[str, Any]]


def described(*statuses: int) -> Responses:
    """Return these statuses' part of an operation's OpenAPI description."""
    return {status: {"model": ErrorResponse, "description": HTTPStatus(status).phrase} for status in statuses}


def add_error_handlers(app: FastAPI) -> None:
    """Give every error of the application the form of `ErrorResponse`."""

    @app.exception_handler(RequestValidationError)
    async def refuse_body(request: Request, error: RequestValidationError) -> Response:
        found = error.errors()
        details = [_field_error(fault) for fault in found[:_MAX_DETAILS]]
        more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
        return respond_with_error(request, 422, f"`{details[0].field}`: {details[0].message}{more}", details)

    @app.exception_handler(UserError)
    async def refuse(request: Request, error: UserError) -> Response:
        return respond_with_error(request, 422, str(error))

    @app.exception_handler(HTTPException)
    async def pass_on(request: Request, error: HTTPException) -> Response:
        response = respond_with_error(request, error.status_code, str(error.detail))
        response.headers.update(error.headers or {})
        return response

    @app.exception_handler(ModelBackendError)
    async def no_model(request: Request, error: ModelBackendError) -> Response:
        logger.warning("request %s: %s", request_id_of(request), error)
        return unavailable(request, f"the model server gave no answer: {error.reason}")

    @app.exception_handler(ModelOutputError)
    async def no_numbers(request: Request, error: ModelOutputError) -> Response:
        logger.error("request %s: %s", request_id_of(request), error)
        return unavailable(request, str(error))

    @app.exception_handler(UnavailableError)
    @app.exception_handler(StoreError)
    async def nothing_to_answer_with(request: Request, error: Exception) -> Response:
        logger.warning("request %s: %s", request_id_of(request), error)
        return unavailable(request, str(error)[:_MAX_MESSAGE])

    @app.exception_handler(OverloadedError)
    async def past_capacity(request: Request, error: OverloadedError) -> Response:
        return unavailable(request, f"past capacity: {error}")

    @app.exception_handler(BusyError)
    async def busy(request: Request, error: BusyError) -> Response:
        return respond_with_error(request, 409, str(error))

    @app.exception_handler(Exception)
    async def fail(request: Request, error: Exception) -> Response:
        logger.error("request %s failed", request_id_of(request), exc_info=error)
        response = respond_with_error(
            request, 500, f"a fault of the service: {type(error).__name__}. Its log says more."
        )
        # Starlette sends these errors outside of the middleware, which adds the header otherwise.
        response.headers[REQUEST_ID] = request_id_of(request)
        return response


def respond_with_error(request: Request, status: int, message: str, details: Sequence[FieldError] = ()) -> Response:
    """Return an error's response."""
    body = error_body(message, request_id_of(request), details)
    return Response(body, status_code=status, media_type="application/json")


def unavailable(request: Request, message: str) -> Response:
    """Return the response that asks to try again later."""
    response = respond_with_error(request, 503, message)
    response.headers["Retry-After"] = str(RETRY_SECONDS)
    return response


def _field_error(fault: dict[str, Any]) -> FieldError:
    """Word a fault that pydantic found."""
    path = [str(part) for part in fault["loc"][1:]]
    if fault["type"] == "json_invalid":
        return FieldError(field="body", message=f"must be JSON: {fault['ctx']['error']} at character {path[0]}")
    if not path and fault["type"] != TOO_MANY_FIELDS:
        return FieldError(field="body", message="must be a JSON object, sent as Content-Type: application/json")
    if fault["type"] == "extra_forbidden":
        known = _FORMS.get(path[0], RecommendRequest).model_fields
        return FieldError(field=".".join(path)[:_MAX_ECHO], message=str(unknown_name("field", path[-1], known)))
    received = "" if fault["type"] == "missing" else f". Received: {_echo(fault['input'])}"
    return FieldError(field=".".join(path) or "body", message=f"{fault['msg']}{received}")


def _echo(value: Any) -> str:
    shown = repr(value[:_MAX_ECHO]) if isinstance(value, str) else _SHORT.repr(value)
    return shown if len(shown) <= _MAX_ECHO else f"{shown[:_MAX_ECHO]}…"
