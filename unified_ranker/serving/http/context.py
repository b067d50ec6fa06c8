"""What surrounds every HTTP request: its id, and the limit on its body."""

import re
import uuid

from fastapi import Request
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

REQUEST_ID = "X-Request-Id"
MAX_BODY = 1024 * 1024
"""Bytes: 1,000 events of a history with long ids."""

_GOOD_ID = re.compile(r"[A-Za-z0-9._:/+=-]{1,128}")


class RequestContext:
    """ASGI middleware: takes or makes the request's id and returns it, and refuses bodies above `MAX_BODY`.

    Args:
        app: the application around which it is.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(REQUEST_ID, "")
        request_id = given if _GOOD_ID.fullmatch(given) else uuid.uuid4().hex
        scope.setdefault("state", {})["request_id"] = request_id
        read = 0

        async def receive_limited() -> Message:
            nonlocal read
            message = await receive()
            read += len(message.get("body", b""))
            if read > MAX_BODY:
                # The rest is not read, so the connection cannot be used again.
                raise HTTPException(413, f"a body may have {MAX_BODY} bytes", {"Connection": "close"})
            return message

        async def send_with_id(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message)[REQUEST_ID] = request_id
            await send(message)

        await self._app(scope, receive_limited, send_with_id)


def request_id_of(request: Request) -> str:
    """Return the id that the middleware gave a request."""
    return str(request.state.request_id)
