"""A call has one deadline, however many tries or requests it takes."""

import contextlib
import http.server
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest

from unified_ranker.model_server.messages import predict_pb2, prediction_service_pb2_grpc
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.client.rest_client import RestModelClient

TIMEOUT, DELAY = 20.0, 0.3
"""Seconds that a call may take, and those after which a replica refuses it."""


class Replica(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Notes how much time each call has left, and answers, or refuses with a code after a while."""

    def __init__(self) -> None:
        self.left: list[float] = []
        self.refuses: grpc.StatusCode | None = None

    def Predict(self, request, context):
        self.left.append(context.time_remaining())
        if self.refuses is not None:
            threading.Event().wait(DELAY)
            context.abort(self.refuses, "not now")
        return predict_pb2.PredictResponse()


@pytest.fixture
def replicas() -> Iterator[tuple[Replica, Replica, ModelClient]]:
    """Two replicas, and a client that asks the first one first."""
    both = Replica(), Replica()
    with contextlib.ExitStack() as stack:
        addresses = []
        for replica in both:
            server = grpc.server(ThreadPoolExecutor(1))
            prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(replica, server)
            addresses.append(f"127.0.0.1:{server.add_insecure_port('127.0.0.1:0')}")
            server.start()
            stack.callback(lambda server=server: server.stop(None).wait())
        client = stack.enter_context(ModelClient(",".join(addresses), "toy", timeout=TIMEOUT))
        yield *both, client


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_the_next_replica_has_what_the_first_left_of_the_time(replicas, code):
    first, second, client = replicas
    first.refuses = code
    client.predict("any", {})
    assert first.left[0] > TIMEOUT - DELAY, "else the machine is too slow to tell"
    assert 0 < second.left[0] <= TIMEOUT - DELAY


def test_a_refusal_by_every_replica_is_raised_after_one_try_each(replicas):
    first, second, client = replicas
    first.refuses = second.refuses = grpc.StatusCode.UNAVAILABLE
    with pytest.raises(ModelServerError) as caught:
        client.predict("any", {})
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert (len(first.left), len(second.left)) == (1, 1)


class Dribbling(http.server.BaseHTTPRequestHandler):
    """A REST API whose metadata comes in drops: none is late, and together they take longer than the call has."""

    def do_GET(self):
        tensor = {"dtype": "DT_FLOAT", "tensor_shape": {"dim": [{"size": "-1"}]}}
        signature = {"inputs": {"x": tensor}, "outputs": {"y": tensor}}
        answer = {
            "model_spec": {"version": "1"},
            "metadata": {"signature_def": {"signature_def": {"double": signature}}},
        }
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for part in (body[:10], body[10:20], body[20:]):
            threading.Event().wait(DELAY / 2)
            self.wfile.write(part)

    def do_POST(self):
        self.server.predicted.set()
        body = json.dumps({"outputs": [2.0]}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.mark.parametrize(("timeout", "answers"), [(DELAY, False), (TIMEOUT, True)])
def test_the_first_call_over_rest_reads_the_metadata_within_its_own_deadline(timeout, answers):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Dribbling) as server:
        server.predicted = threading.Event()
        threading.Thread(target=server.serve_forever, daemon=True).start()
        with RestModelClient(f"http://127.0.0.1:{server.server_port}", "toy") as client:
            if answers:
                assert client.predict("double", {"x": np.float32([1])}, timeout)["y"].tolist() == [2.0]
            else:
                with pytest.raises(ModelServerError) as caught:
                    client.predict("double", {"x": np.float32([1])}, timeout)
                assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
        assert server.predicted.is_set() == answers
        server.shutdown()
