"""Limits of a connection, which hold before anything is known of the client.

Uvicorn has the timeout of idle connections. Its limit on headers is one of h11, whose parser takes ten times as long as
httptools', and it has no time within which a request must arrive. A proxy in front has all of these limits, too; these
are for services that are reached without one, and for proxies that do not buffer requests.
"""

import asyncio
import logging
from http import HTTPStatus
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from unified_ranker.serving.http.bodies import error_body
from unified_ranker.serving.service.service_metrics import ServiceMetrics

MOST_HEAD = 32 * 1024
"""Most bytes of a request's line and headers together."""
MOST_HEADERS = 100
"""Most headers of a request."""
ARRIVAL_SECONDS = 20.0
"""Seconds within which a request must have arrived whole, from its first byte or the begin of its connection."""
MOST_CONNECTIONS = 1000
"""Most open connections."""

logger = logging.getLogger(__name__)


class _HeadError(ValueError):
    """Error: the headers of a request are too large."""


class LimitedConnection(HttpToolsProtocol):
    """Connection that ends with an error where a request is too slow, or its headers are too large.

    Args:
        metrics: counts the responses, which the application never sees, and the connections that are refused.
        most_head: see `MOST_HEAD`.
        arrival: see `ARRIVAL_SECONDS`.
        most_connections: see `MOST_CONNECTIONS`.
        uvicorn: arguments that uvicorn gives to every connection.
    """

    def __init__(
        self,
        metrics: ServiceMetrics,
        most_head: int = MOST_HEAD,
        arrival: float = ARRIVAL_SECONDS,
        most_connections: int = MOST_CONNECTIONS,
        **uvicorn: Any,
    ) -> None:
        super().__init__(**uvicorn)
        self._metrics, self._most_head, self._arrival = metrics, most_head, arrival
        self._most_connections = most_connections
        self._timer: asyncio.TimerHandle | None = None
        self._head_bytes, self._in_head = 0, True
        self._status = HTTPStatus.BAD_REQUEST

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Refuse the connection past the limit, and begin to wait for its first request."""
        super().connection_made(transport)  # type: ignore[arg-type]
        if len(self.connections) > self._most_connections:
            self._metrics.refused.labels("connections").inc()
            self._end(HTTPStatus.SERVICE_UNAVAILABLE)
            return
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Read a part of a request."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > self._most_head:
                self._end(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._head_bytes, self._in_head = 0, True
        if self._timer is None:
            self._wait()

    def on_headers_complete(self) -> None:
        """Start the application, if the headers are within their limits."""
        self._in_head = False
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > self._most_head or len(self.headers) > MOST_HEADERS:
            self._status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
            raise _HeadError  # The parser's caller answers by `send_400_response`.
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Stop waiting: the request has arrived."""
        self._arrived()
        super().on_message_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that cannot be read, and end the connection."""
        self._end(self._status)

    def _wait(self) -> None:
        self._timer = self.loop.call_later(self._arrival, self._late)

    def _arrived(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _late(self) -> None:
        self._timer = None
        begun = not self._in_head or self._head_bytes > 0
        # In the headers, `cycle` is the request before this one.
        free = self.cycle is None or (
            self.cycle.response_complete if self._in_head else not self.cycle.response_started
        )
        if begun and free:
            self._end(HTTPStatus.REQUEST_TIMEOUT)
        else:
            self.transport.close()

    def _end(self, status: HTTPStatus) -> None:
        """Answer with an error in the form of all errors, and close the connection."""
        self._arrived()
        self._metrics.http.labels("other", str(status.value)).inc()
        logger.info("a connection ends with %d %s", status.value, status.phrase)
        body = error_body(status.phrase.lower(), "")
        head = f"HTTP/1.1 {status.value} {status.phrase}\r\ncontent-type: application/json\r\n"
        head += f"content-length: {len(body)}\r\nconnection: close\r\n\r\n"
        self.transport.write(head.encode("ascii") + body)
        self.transport.close()
