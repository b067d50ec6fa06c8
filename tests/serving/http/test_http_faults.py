"""The HTTP API without a model, past capacity, and what it tells of itself."""

import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import anyio
import grpc
import httpx
import numpy as np
import pytest
from fastapi.testclient import TestClient
from service_toy import BODY, QUERY, ToyModel, client_of, recommend, refusal, service

from unified_ranker.model_server.messages import predict_pb2, prediction_service_pb2_grpc
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.http.api import Capacity, RankingBackend, create_app
from unified_ranker.serving.service.model_watch import ModelWatch


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


# --- without a model ----------------------------------------------------------------------------------------------


class Failing(ToyModel):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def predict(self, signature, inputs, timeout=None):
        raise self.error

    def status(self, timeout=None):
        raise self.error


def model_server_error(code: grpc.StatusCode) -> ModelServerError:
    return ModelServerError(code, "secret details", "10.1.2.3:8500", "toy version 7", "encode")


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_model_server_that_fails_is_a_503_that_says_when_to_try_again(code):
    ranker = service(Failing(model_server_error(code)))
    client = TestClient(create_app(ranker))
    assert client.get("/healthz").json() == {"status": "ok", "model": "AVAILABLE"}
    ModelWatch(ranker).look()
    response = recommend(client)
    error = refusal(response, 503)["error"]
    assert code.name in error
    assert "10.1.2.3" not in error, "where the model server is, is nobody's business"
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get("/healthz").json() == {"status": "degraded", "model": code.name}
    assert 'unified_ranker_model_up{label="stable"} 0.0' in client.get("/metrics").text
    refusal(client.get("/readyz"), 503)


def test_numbers_that_are_none_are_a_503():
    broken = ToyModel(broken={"query_vector": np.full((1, 3), np.nan, np.float32)})
    response = recommend(client_of(broken))
    assert "query_vector" in refusal(response, 503)["error"]
    assert "Retry-After" in response.headers


def test_fault_of_the_service_is_a_500_with_the_request_id_and_is_counted():
    client = client_of(Failing(RuntimeError("private")))
    body = refusal(recommend(client), 500)
    assert "private" not in body["error"]
    assert "RuntimeError" in body["error"]
    assert 'unified_ranker_http_responses_total{path="/v1/recommend",status="500"} 1.0' in client.get("/metrics").text


def test_model_server_that_hangs_is_a_503_at_the_deadline():
    done = threading.Event()

    class Hanging(prediction_service_pb2_grpc.PredictionServiceServicer):
        def Predict(self, request, context):
            done.wait(20)
            return predict_pb2.PredictResponse()

    server = grpc.server(ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(Hanging(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    try:
        with ModelClient(f"127.0.0.1:{port}", "toy", 7) as model:
            started = time.monotonic()
            body = refusal(recommend(client_of(model, deadline=0.3)), 503)
            assert 0.15 < time.monotonic() - started < 5, "most of the deadline, and no more than that"
            assert "DEADLINE_EXCEEDED" in body["error"]
    finally:
        done.set()
        server.stop(None).wait()


# --- probes -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("states", "status"), [({7: "AVAILABLE"}, 200), ({7: "LOADING"}, 503), ({8: "AVAILABLE"}, 503)]
)
def test_ready_means_that_the_model_of_the_release_is_available(states, status):
    response = client_of(ToyModel(states=states)).get("/readyz")
    assert response.status_code == status
    if status == 200:
        assert response.json() == {"status": "ready", "release": 7}
    else:
        assert "version 7" in refusal(response, 503)["error"]


def test_past_capacity_the_rest_is_refused_at_once_and_probes_do_not_wait():
    go = threading.Event()

    class Waiting(ToyModel):
        def predict(self, signature, inputs, timeout=None):
            assert go.wait(20)
            return super().predict(signature, inputs, timeout)

    async def crowd() -> list[httpx.Response]:
        app = create_app(RankingBackend(service(Waiting()), capacity=Capacity(concurrency=2, queue=3, patience=20)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            answers = []

            async def ask() -> None:
                answers.append(await client.post("/v1/recommend", json=BODY, timeout=30))

            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(ask)
                try:
                    await anyio.wait_all_tasks_blocked()
                    with anyio.fail_after(10):
                        probes = [await client.get("/healthz"), await client.get("/readyz")]
                        assert [probe.status_code for probe in probes] == [200, 200]
                        assert [answer.status_code for answer in answers] == [503] * 95
                        text = (await client.get("/metrics")).text
                    assert 'unified_ranker_refused_total{reason="queue_full"} 95.0' in text
                    assert "unified_ranker_queue_requests 3.0" in text
                    assert "unified_ranker_running_requests 2.0" in text
                finally:
                    go.set()
            return answers

    answers = anyio.run(crowd)
    assert sorted(answer.status_code for answer in answers) == [200] * 5 + [503] * 95
    assert all(int(answer.headers["Retry-After"]) >= 1 for answer in answers if answer.status_code == 503)


def test_nobody_waits_longer_than_the_queues_patience():
    go = threading.Event()

    class Waiting(ToyModel):
        def predict(self, signature, inputs, timeout=None):
            assert go.wait(20)
            return super().predict(signature, inputs, timeout)

    async def two() -> int:
        app = create_app(RankingBackend(service(Waiting()), capacity=Capacity(concurrency=1, queue=5, patience=0.05)))
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://test") as client:
            async with anyio.create_task_group() as group:
                group.start_soon(lambda: client.post("/v1/recommend", json=BODY))
                await anyio.wait_all_tasks_blocked()
                second = await client.post("/v1/recommend", json=BODY)
                go.set()
            return second.status_code

    assert anyio.run(two) == 503


# --- documents ----------------------------------------------------------------------------------------------------


def test_docs_list_the_operations_and_load_nothing(client):
    page = client.get("/docs")
    assert page.headers["content-type"].startswith("text/html")
    for shown in (
        "POST http://testserver/v1/recommend",
        "GET http://testserver/readyz",
        "history[].item_id",
        "maxLength 512",
    ):
        assert shown in page.text
    assert not re.search(r"<script|<link|<img|@import|url\(|src=", page.text)
    assert "default-src 'none'" in page.headers["Content-Security-Policy"]


def test_openapi_tells_the_limits_and_the_errors(client):
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/recommend"]["post"]
    assert operation["responses"].keys() == {"200", "400", "401", "403", "413", "422", "503"}
    for status in ("413", "422", "503"):
        schema = operation["responses"][status]["content"]["application/json"]["schema"]
        assert schema == {"$ref": "#/components/schemas/ErrorResponse"}
    request = document["components"]["schemas"]["RecommendRequest"]
    assert request["additionalProperties"] is False
    assert request["required"] == ["user_id", "task"]
    limits = {option.get("maximum") for option in request["properties"]["limit"]["anyOf"]}
    assert limits == {500, None}
    assert request["properties"]["history"]["anyOf"][0]["maxItems"] == 1000
    assert recommend(client, **request["examples"][0] | {"query": QUERY}).status_code == 200
