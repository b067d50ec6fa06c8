"""The load generator of the serving benchmark: requests leave when they are due, and their times count from then."""

import importlib
import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"
SLOW, SLOW_SECONDS, RATE, SECONDS = 5, 0.5, 50.0, 0.6

pytestmark = pytest.mark.skipif(shutil.which("go") is None, reason="the generator is built by Go")


@pytest.fixture(scope="module")
def load():
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(BENCHMARKS)
        yield importlib.import_module("load")


@pytest.fixture
def server():
    """Answers at once but for one request, which it answers late, and one, which it refuses."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            number = json.loads(self.rfile.read(int(self.headers["Content-Length"])))["number"]
            if number == SLOW:
                stop.wait(SLOW_SECONDS)
            body = json.dumps({"degraded": "popular" if number == 1 else None, "timings_ms": {"total": 2.0}}).encode()
            self.send_response(503 if number == 2 else 200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *arguments):
            pass

    stop, running = threading.Event(), ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=running.serve_forever)
    thread.start()
    yield running.server_address
    running.shutdown()
    running.server_close()
    thread.join()


def test_a_request_that_stalls_delays_no_other_and_counts_from_when_it_was_due(load, server):
    seen = load.offer(*server, RATE, SECONDS, lambda number: {"number": number}, "constant")
    times = np.array(seen.milliseconds)
    assert seen.due == pytest.approx(np.arange(RATE * SECONDS) / RATE)
    assert times[SLOW] >= 1000 * SLOW_SECONDS
    assert np.median(times) < 100 * SLOW_SECONDS
    assert (seen.status[2], seen.status.count(200)) == (503, len(times) - 1)
    assert seen.rungs == {"full": len(times) - 2, "popular": 1}
    assert seen.summary()["stages_ms"] == {"total": {"p50": 2.0, "p99": 2.0}}


def test_poisson_arrivals_have_the_rate_and_its_deviation(load):
    gaps = np.diff(load.due_times(40, 100, "poisson"))
    assert len(gaps) == 3_999
    assert gaps.mean() == pytest.approx(1 / 40, rel=0.1)
    assert gaps.std() == pytest.approx(1 / 40, rel=0.1)
