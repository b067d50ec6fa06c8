"""Middleware of every HTTP request: its id, the limit on its body, its authorisation, and the count of its outcome."""

import re
import time
import uuid
from collections.abc import Sequence
from urllib.parse import unquote_to_bytes

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from unified_ranker.serving.http.bodies import error_body
from unified_ranker.serving.http.security import AccessTokens, allows, host_allowed, role_needed
from unified_ranker.serving.service.service_metrics import ServiceMetrics

REQUEST_ID = "X-Request-Id"
MAX_BODY = 1024 * 1024
"""Most bytes of a body: enough for 1,000 events with long ids."""

_TOO_LARGE = f"a body may have {MAX_BODY} bytes"
_DIGITS = 20
_GOOD_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestContext:
    """ASGI middleware: the request's id, its body's limit, its token, and the count of responses.

    Args:
        app: the application that it wraps.
        metrics: counts the responses.
        tokens: that clients must send; None: anyone may call.
        hosts: names under which the service may be called; none: any.
    """

    def __init__(
        self,
        app: ASGIApp,
        metrics: ServiceMetrics | None = None,
        tokens: AccessTokens | None = None,
        hosts: Sequence[str] = (),
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._tokens = tokens
        self._hosts = hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        given = headers.get(REQUEST_ID, "")
        request_id = given if _GOOD_ID.fullmatch(given) else uuid.uuid4().hex
        state = scope.setdefault("state", {})
        state["request_id"], state["arrived"] = request_id, time.monotonic()
        read, started = 0, False

        async def receive_limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                # The rest of the body is not read, so the connection must be closed.
                raise HTTPException(413, _TOO_LARGE, {"Connection": "close"})
            return message

        async def send_with_id(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
                self._count(scope, message["status"])
            await send(message)

        refused = self._refusal(scope, headers)
        if refused is None:
            try:
                await self._app(scope, receive_limited, send_with_id)
            except Exception:
                # Starlette answers these outside of its middleware, so the answer does not pass `send_with_id`.
                if not started:
                    self._count(scope, 500)
                raise
            return
        status, message, more = refused
        body = error_body(message, request_id)
        fields = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode()), *more]
        await send_with_id({"type": "http.response.start", "status": status, "headers": fields})
        await send_with_id({"type": "http.response.body", "body": body})

    def _count(self, scope: Scope, status: int) -> None:
        if self._metrics is not None:
            # The route's template, such as /v1/items/{item_id}: a metric for every path would fill the memory.
            route = getattr(scope.get("route"), "path_format", "other")
            self._metrics.http.labels(route, str(status)).inc()

    def _refusal(self, scope: Scope, headers: Headers) -> tuple[int, str, list[tuple[bytes, bytes]]] | None:
        if self._hosts and not host_allowed(headers.get("host", ""), self._hosts):
            return 421, f"this service is called by one of the names {', '.join(self._hosts)}", []
        if not _is_text(scope.get("raw_path") or b"") or not _is_text(scope["query_string"]):
            return 400, "the path and the query must be UTF-8, percent-encoded", []
        needed = role_needed(scope["method"], scope["path"])
        if self._tokens is not None and needed is not None:
            roles = self._tokens.roles_of(headers.get("authorization", ""))
            if roles is None:
                return 401, "a bearer token of this service is needed", [(b"www-authenticate", b"Bearer")]
            if not allows(roles, needed):
                return 403, f"the token has not the role `{needed}`", []
        announced = headers.get("content-length", "0")
        if announced.isdecimal() and int(announced[:_DIGITS]) > MAX_BODY:
            return 413, _TOO_LARGE, [(b"connection", b"close")]
        return None


def _is_text(encoded: bytes) -> bool:
    """Tell whether a part of an address is UTF-8; servers decode `%ff` and `%fe` to the same replacement character."""
    try:
        unquote_to_bytes(encoded).decode()
    except UnicodeDecodeError:
        return False
    return True


def request_id_of(request: Request) -> str:
    """Return the id that the middleware gave a request."""
    return str(request.state.request_id)
