"""Connections of clients that send slowly, much, or nothing, over real sockets, and the others meanwhile."""

import contextlib
import functools
import json
import socket
import threading
import time

import httpx
import pytest
import uvicorn
from service_toy import BODY, service

from unified_ranker.core.addresses import listen
from unified_ranker.serving.http.api import create_app
from unified_ranker.serving.http.connection_limits import MOST_HEADERS, LimitedConnection
from unified_ranker.serving.http.request_context import MAX_BODY

HEAD, ARRIVAL, CONNECTIONS = 4096, 0.4, 8
POST = "POST /v1/recommend HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
WHOLE = json.dumps(BODY)


@pytest.fixture(scope="module")
def served():
    """The toy's service behind connections with small limits: its metrics and its port."""
    ranker = service()
    limited = functools.partial(
        LimitedConnection, ranker.metrics, most_head=HEAD, arrival=ARRIVAL, most_connections=CONNECTIONS
    )
    listener = listen("127.0.0.1", 0, "--port")
    server = uvicorn.Server(uvicorn.Config(create_app(ranker), lifespan="off", http=limited, log_config=None))
    thread = threading.Thread(target=server.run, args=([listener],))
    thread.start()
    yield ranker.metrics, listener.getsockname()[1]
    server.should_exit = True
    thread.join()
    listener.close()


@contextlib.contextmanager
def connected(served):
    with socket.create_connection(("127.0.0.1", served[1]), timeout=20) as client:
        yield client


def rest_of(client) -> bytes:
    """What the service sends until it closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := client.recv(65_536):
            received += part
    return received


def status_of(received: bytes) -> int:
    return int(received.split(b" ", 2)[1]) if received else 0


def counted(served, status, path="other"):
    line = f'unified_ranker_http_responses_total{{path="{path}",status="{status}"}} '
    found = [float(row.removeprefix(line)) for row in served[0].text().decode().splitlines() if row.startswith(line)]
    return found[0] if found else 0


def answers(served) -> bool:
    response = httpx.post(f"http://127.0.0.1:{served[1]}/v1/recommend", json=BODY, trust_env=False, timeout=20)
    return response.status_code == 200


LARGE = {
    "one header without an end": "X: " + "a" * 40 * HEAD,
    "one header": "X: " + "a" * HEAD + "\r\n\r\n",
    "many headers": "".join(f"X{n}: 1\r\n" for n in range(MOST_HEADERS + 1)) + "\r\n",
}


@pytest.mark.parametrize("name", LARGE)
def test_headers_that_are_too_large_end_the_connection(served, name):
    before = counted(served, 431)
    with connected(served) as client:
        with contextlib.suppress(OSError):
            client.sendall((POST + LARGE[name]).encode())
        assert status_of(rest_of(client)) in (431, 0), "0: more was sent than was read, so the answer is lost"
    assert counted(served, 431) == before + 1
    assert answers(served)


def test_a_line_without_an_end_does_so_too(served):
    with connected(served) as client:
        with contextlib.suppress(OSError):
            client.sendall(b"GET /" + b"a" * 40 * HEAD)
        assert status_of(rest_of(client)) in (431, 0)


SLOW = {
    "nothing": [""],
    "a byte of the headers at a time": [POST, *("X: 1\r\n" * 400)],
    "a byte of the body at a time": [POST + "Content-Length: 1000\r\n\r\n", *([" "] * 900)],
    "a body without an end": [POST + "Transfer-Encoding: chunked\r\n\r\n", *(["1\r\n \r\n"] * 900)],
}


@pytest.mark.parametrize("name", SLOW)
def test_a_request_that_does_not_arrive_in_time_ends_its_connection(served, name):
    """However it is divided: sending a little now and then gives no more time."""
    began = time.monotonic()
    ended = threading.Event()

    def send(client):
        with contextlib.suppress(OSError):
            for part in SLOW[name]:
                client.sendall(part.encode())
                if ended.wait(ARRIVAL / 20):
                    return

    with connected(served) as client:
        sender = threading.Thread(target=send, args=(client,))
        sender.start()
        assert answers(served), "others do not wait"
        received = rest_of(client)
        ended.set()
        sender.join()
    assert status_of(received) in ((0,) if name == "nothing" else (408, 0))
    assert ARRIVAL / 2 < time.monotonic() - began < 10


def test_a_request_that_arrives_in_time_is_answered_and_so_are_its_followers(served):
    request = (POST + f"Content-Length: {len(WHOLE)}\r\n\r\n" + WHOLE).encode()
    with connected(served) as client:
        for _ in range(3):
            for part in (request[:20], request[20:200], request[200:]):
                client.sendall(part)
            received = b""
            while b"timings_ms" not in received:
                received += client.recv(65_536)
            assert status_of(received) == 200


def test_a_body_that_says_of_itself_that_it_is_too_large_is_refused_unread(served):
    with connected(served) as client:
        client.sendall((POST + f"Content-Length: {MAX_BODY + 1}\r\n\r\n").encode())
        received = rest_of(client)
    assert status_of(received) == 413
    assert str(MAX_BODY).encode() in received


def test_past_the_limit_connections_are_refused_and_counted_and_end_when_they_are_idle(served):
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(connected(served)) for _ in range(CONNECTIONS + 4)]
        statuses = [status_of(rest_of(client)) for client in clients]
    assert statuses.count(503) >= 4
    assert statuses.count(0) + statuses.count(503) == len(clients)
    assert 'unified_ranker_refused_total{reason="connections"}' in served[0].text().decode()
    assert answers(served)


def test_what_is_no_http_is_a_400_in_the_form_of_all_errors(served):
    before = counted(served, 400)
    with connected(served) as client:
        client.sendall(b"\x16\x03\x01 hello\r\n\r\n")
        received = rest_of(client)
    assert status_of(received) == 400
    assert json.loads(received.split(b"\r\n\r\n", 1)[1])["error"] == "bad request"
    assert counted(served, 400) == before + 1
