"""JSON bodies whose number of values is bounded, since they are read in the event loop, where every request waits.

Threads would not help: Python's parser and pydantic hold the interpreter as long as they read a body.
"""

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException

from unified_ranker.core.numbers import parse_whole

MOST_MARKS = 50_000
"""Most commas, colons and opening brackets of a body: five times as many as 1,000 events of a history have."""


class BoundedRequest(Request):
    """Request that refuses a body of too many values before it is parsed."""

    async def json(self) -> Any:
        """Return the parsed body; a number of any length is read, so that the check of its field can refuse it.

        Raises:
            HTTPException: 413, it has more than `MOST_MARKS`.
        """
        body = await self.body()
        # Texts are left out where it matters alone, because that takes five times as long.
        if _marks(body) > MOST_MARKS and _marks(_without_texts(body)) > MOST_MARKS:
            raise HTTPException(
                413, f"a body may have {MOST_MARKS:,} values and names. Send it in parts, as several requests."
            )
        return json.loads(body, parse_int=parse_whole)


class BoundedRoute(APIRoute):
    """Route that reads its body as `BoundedRequest`.

    Reference: FastAPI, "Custom Request and APIRoute class".
    """

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the handler of FastAPI, over the request that is bounded."""
        handle = super().get_route_handler()

        async def handle_bounded(request: Request) -> Response:
            return await handle(BoundedRequest(request.scope, request.receive))

        return handle_bounded


def _without_texts(body: bytes) -> bytes:
    # Without escapes, every second quotation mark ends a text.
    return b"".join(body.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')[::2])


def _marks(body: bytes) -> int:
    return sum(body.count(mark) for mark in (b",", b":", b"[", b"{"))
