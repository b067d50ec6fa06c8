"""The HTTP API over a toy service: what it answers, what it refuses and how, and what happens without a model."""

import json
import re
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone

import anyio
import grpc
import httpx
import hypothesis
import numpy as np
import pytest
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError
from service_toy import DAY, IMPUTED, LIMITS, START, ToyHistories, ToyModel, events, expected, service

from unified_ranker.serving.client.errors import ModelServerError
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.http.api import create_app
from unified_ranker.serving.http.context import MAX_BODY
from unified_ranker.serving.http.models import to_seconds
from unified_ranker.serving.model_server.messages import predict_pb2, prediction_service_pb2_grpc

QUERY = "0.5,-1,2"
BODY = {"user_id": "ann", "task": "search", "query": QUERY}


def client_of(model=None, **settings) -> TestClient:
    return TestClient(create_app(service(model, **settings)), raise_server_exceptions=False)


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


def recommend(client: TestClient, **changes) -> httpx.Response:
    return client.post("/v1/recommend", json=BODY | changes)


def ids(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [item["item_id"] for item in response.json()["items"]]


def refusal(response: httpx.Response, status: int) -> dict:
    """The body of an error, which always has the same form."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/json"
    body = response.json()
    assert body.keys() == {"error", "request_id", "details"}
    assert body["request_id"] == response.headers["X-Request-Id"]
    return body


# --- answers ------------------------------------------------------------------------------------------------------


def test_answer_has_the_form_of_the_contract(client):
    body = recommend(client, history=[{"item_id": "i1", "timestamp": START}]).json()
    right = expected(QUERY, 6, LIMITS["search"])
    timings = body.pop("timings_ms")
    assert timings.keys() == {"encode", "retrieve", "rank", "total"}
    assert all(isinstance(spent, float) for spent in timings.values())
    assert len(body.pop("request_id")) > 8
    items = body.pop("items")
    assert body == {"release": 7, "task": "search", "imputed_query": QUERY, "degraded": None}
    assert items == [
        {
            "item_id": name,
            "title": f"Title {name[1:]}",
            "score": pytest.approx(-retrieval, rel=1e-5),
            "heads": {"like": pytest.approx(0.1)},
            "retrieval_score": pytest.approx(retrieval, rel=1e-5),
        }
        for name, retrieval in right
    ]


def test_every_field_reaches_the_service(client):
    best = [name for name, _ in reversed(expected(QUERY, 10, 10))]
    liked = {"item_id": best[0], "event_type": "rating", "task": "home_feed", "timestamp": START, "value": 5}
    response = recommend(
        client,
        task="home_feed",
        source_item_id=best[1],
        query_item_id=best[2],
        country="GB",
        history=[liked],
        limit=10,
        timestamp=START + 3 * DAY,
    )
    assert ids(response) == [i for i, _ in expected(QUERY, 10, 10, best[:3], START + 3 * DAY)]


def test_absent_and_null_fields_are_the_same(client):
    names = ("query", "source_item_id", "query_item_id", "country", "history", "limit", "timestamp")
    full = client.post("/v1/recommend", json={"user_id": None, "task": "home_feed", **dict.fromkeys(names)})
    bare = client.post("/v1/recommend", json={"user_id": None, "task": "home_feed"})
    assert full.json()["imputed_query"] == IMPUTED
    assert ids(full) == ids(bare)


@pytest.mark.parametrize(("history", "events_counted"), [(None, 2), ([], 0), ([{"item_id": "a", "timestamp": 1}], 1)])
def test_history_is_the_services_unless_the_request_brings_one(history, events_counted):
    store = ToyHistories({"ann": events(("i1", "view", "x", START, 0.0), ("i2", "view", "x", START, 0.0))})
    response = recommend(client_of(histories=store), history=history)
    assert response.json()["items"][0]["heads"]["like"] == pytest.approx(events_counted / 10)


def test_largest_request_is_answered(client):
    event = {"item_id": "i" * 256, "event_type": "e" * 256, "task": "t" * 256, "timestamp": 1, "value": 1.0}
    response = recommend(client, user_id="u" * 256, limit=500, history=[event] * 1000)
    assert len(ids(response)) == 60


# --- times --------------------------------------------------------------------------------------------------------

MOMENT = START + 2 * DAY


@pytest.mark.parametrize(
    "time",
    [
        MOMENT,
        MOMENT + 0.5,
        "2023-11-16T22:13:20Z",
        "2023-11-16T22:13:20.999+00:00",
        "2023-11-16T22:13:20",
        "2023-11-17T00:13:20+02:00",
        "2023-11-16 22:13:20",
    ],
)
def test_time_is_iso_8601_or_epoch_seconds(client, time):
    later = recommend(client, timestamp=time, limit=100)
    assert len(ids(later)) == 52, "two of the dated items had come by then"


@hypothesis.given(
    st.datetimes(datetime(1970, 1, 2), datetime(9998, 12, 31)),
    st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes))),
)
def test_every_datetime_becomes_its_second(moment, offset):
    aware = moment.replace(tzinfo=offset)
    whole = aware.astimezone(UTC).replace(microsecond=0)
    assert datetime.fromtimestamp(to_seconds(aware.isoformat()), UTC) == whole
    assert to_seconds(moment.isoformat()) == to_seconds(moment.replace(tzinfo=UTC).isoformat())


@pytest.mark.parametrize("time", ["yesterday", "", True, [], float("nan"), float("inf"), -1, 0, 1_700_000_000_000])
def test_what_is_no_time_is_refused(time):
    with pytest.raises(PydanticCustomError, match="Input should be a time"):
        to_seconds(time)


# --- refusals -----------------------------------------------------------------------------------------------------


def test_unknown_task_names_the_known_ones_and_the_nearest(client):
    error = refusal(recommend(client, task="serch"), 422)["error"]
    assert error == "unknown task `serch`. Known: `home_feed`, `search`. Did you mean `search`?"


EVENT = {"item_id": "a", "timestamp": 1}


@pytest.mark.parametrize(
    ("changes", "field", "says"),
    [
        ({"user_id": 42}, "user_id", "valid string. Received: 42"),
        ({"user_id": "u" * 257}, "user_id", "256"),
        ({"task": ""}, "task", "1 character"),
        ({"task": None}, "task", "string"),
        ({"query": "q" * 513}, "query", "512"),
        ({"source_item_id": "s" * 257}, "source_item_id", "256"),
        ({"query_item_id": ["a"]}, "query_item_id", "string"),
        ({"country": "gb"}, "country", "pattern"),
        ({"country": "GBR"}, "country", "pattern"),
        ({"country": "GB\n"}, "country", "pattern"),
        ({"country": ""}, "country", "pattern"),
        ({"limit": 0}, "limit", "greater than or equal to 1"),
        ({"limit": 501}, "limit", "less than or equal to 500"),
        ({"limit": True}, "limit", "integer"),
        ({"limit": "3"}, "limit", "integer"),
        ({"timestamp": "soon"}, "timestamp", "ISO 8601"),
        ({"timestamp": 1_700_000_000_000}, "timestamp", "not milliseconds"),
        ({"history": {}}, "history", "list"),
        ({"history": [EVENT] * 1001}, "history", "1000"),
        ({"history": [EVENT, {"item_id": "a"}]}, "history.1.timestamp", "required"),
        ({"history": [EVENT | {"item_id": ""}]}, "history.0.item_id", "1 character"),
        ({"history": [EVENT | {"value": 1e300}]}, "history.0.value", "less than"),
        ({"history": [EVENT | {"event_type": "e" * 257}]}, "history.0.event_type", "256"),
        ({"usr_id": "ann"}, "usr_id", "unknown field `usr_id`. Known: `country`"),
        ({"querry": "x"}, "querry", "Did you mean `query`?"),
        ({"history": [EVENT | {"valeu": 1}]}, "history.0.valeu", "Did you mean `value`?"),
    ],
)
def test_bad_field_is_named_with_the_rule(client, changes, field, says):
    body = refusal(recommend(client, **changes), 422)
    assert body["details"][0]["field"] == field
    assert says in body["details"][0]["message"]
    assert field in body["error"]


def test_missing_fields_are_named(client):
    body = refusal(client.post("/v1/recommend", json={}), 422)
    assert [fault["field"] for fault in body["details"]] == ["user_id", "task"]
    assert "1 more" in body["error"]


def test_a_thousand_faults_are_not_all_listed(client):
    body = refusal(recommend(client, history=[{}] * 1000), 422)
    assert len(body["details"]) == 10
    assert "1999 more" in body["error"]


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"{", 422, "must be JSON"),
        (b"", 422, "must be a JSON object"),
        (b"[]", 422, "must be a JSON object"),
        (b'{"user_id": "\xff", "task": "search"}', 400, "body"),
        (b"[" * 100_000, 400, "body"),
        (b'{"user_id": "u", "task": "search", "limit": ' + b"9" * 5000 + b"}", 400, "body"),
        (b'{"user_id": "u", "task": "search", "limit": 1e999}', 422, "limit"),
        (b'{"user_id": "\\ud800", "task": "search"}', 422, "unicode"),
        (b'{"user_id": "u", "task": "search", "\\udfff": 1}', 422, "body"),
        (b'{"user_id": "u", "task": "\\udfff"}', 422, "unicode"),
        (b'{"user_id": "u", "task": "search", "timestamp": NaN}', 422, "timestamp"),
        (
            b'{"user_id": "u", "task": "search", "history": [{"item_id": "a", "timestamp": 1, "value": NaN}]}',
            422,
            "0.value",
        ),
    ],
)
def test_body_that_is_no_request_is_refused(client, content, status, says):
    response = client.post("/v1/recommend", content=content, headers={"Content-Type": "application/json"})
    assert says in json.dumps(refusal(response, status))


def test_body_without_its_content_type_is_refused(client):
    response = client.post("/v1/recommend", content=json.dumps(BODY).encode())
    assert "Content-Type: application/json" in refusal(response, 422)["error"]


@pytest.mark.parametrize("chunked", [False, True])
def test_body_above_the_limit_is_refused(client, chunked):
    def chunks():
        for _ in range(11):
            yield b" " * (MAX_BODY // 10)

    content = chunks() if chunked else b" " * (MAX_BODY + 1)
    response = client.post("/v1/recommend", content=content, headers={"Content-Type": "application/json"})
    assert str(MAX_BODY) in refusal(response, 413)["error"]


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/nowhere", 404), ("GET", "/v1/recommend", 405)])
def test_unknown_path_and_method_have_the_form_of_all_errors(client, method, path, status):
    refusal(client.request(method, path), status)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
FIELDS = (*BODY, "source_item_id", "query_item_id", "country", "history", "limit", "timestamp", "else")


@hypothesis.settings(deadline=None, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture])
@hypothesis.given(st.dictionaries(st.sampled_from(FIELDS), JSON, max_size=4))
def test_nothing_that_is_sent_is_a_fault_of_the_service(client, changes):
    # The toy model reads a query vector from the query, which a random text is not.
    body = {name: value for name, value in (BODY | changes).items() if name != "query"}
    content = json.dumps(body).encode()
    response = client.post("/v1/recommend", content=content, headers={"Content-Type": "application/json"})
    if response.status_code != 200:
        refusal(response, 422)


# --- request ids --------------------------------------------------------------------------------------------------


def test_request_id_is_honoured(client):
    response = client.post("/v1/recommend", json=BODY, headers={"X-Request-Id": "trace-7.a"})
    assert response.headers["X-Request-Id"] == response.json()["request_id"] == "trace-7.a"
    assert client.get("/healthz", headers={"X-Request-Id": "probe"}).headers["X-Request-Id"] == "probe"


@pytest.mark.parametrize("given", [None, "", "x" * 129, "two words", "a\tb"])
def test_request_without_a_good_id_gets_one(client, given):
    headers = {} if given is None else {"X-Request-Id": given}
    made = {client.post("/v1/recommend", json=BODY, headers=headers).json()["request_id"] for _ in range(2)}
    assert len(made) == 2
    assert given not in made


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
    client = client_of(Failing(model_server_error(code)))
    response = recommend(client)
    error = refusal(response, 503)["error"]
    assert code.name in error
    assert "10.1.2.3" not in error, "where the model server is, is nobody's business"
    assert int(response.headers["Retry-After"]) >= 1
    assert client.get("/healthz").json() == {"status": "ok"}
    refusal(client.get("/readyz"), 503)


def test_numbers_that_are_none_are_a_503():
    broken = ToyModel(broken={"query_vector": np.full((1, 3), np.nan, np.float32)})
    response = recommend(client_of(broken))
    assert "query_vector" in refusal(response, 503)["error"]
    assert "Retry-After" in response.headers


def test_fault_of_the_service_is_a_500_with_the_request_id():
    body = refusal(recommend(client_of(Failing(RuntimeError("private")))), 500)
    assert "private" not in body["error"]
    assert "RuntimeError" in body["error"]


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
            assert 0.25 < time.monotonic() - started < 5
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


def test_probes_do_not_wait_behind_requests_that_wait_for_the_model():
    go = threading.Event()

    class Waiting(ToyModel):
        def predict(self, signature, inputs, timeout=None):
            assert go.wait(20)
            return super().predict(signature, inputs, timeout)

    async def crowd() -> list[int]:
        transport = httpx.ASGITransport(create_app(service(Waiting())))
        async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
            statuses = []

            async def ask() -> None:
                statuses.append((await client.post("/v1/recommend", json=BODY, timeout=30)).status_code)

            async with anyio.create_task_group() as group:
                for _ in range(100):
                    group.start_soon(ask)
                try:
                    await anyio.wait_all_tasks_blocked()
                    with anyio.fail_after(10):
                        probes = [await client.get("/healthz"), await client.get("/readyz")]
                        assert [probe.status_code for probe in probes] == [200, 200]
                        assert statuses == []
                finally:
                    go.set()
            return statuses

    assert anyio.run(crowd) == [200] * 100


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
    assert operation["responses"].keys() == {"200", "400", "413", "422", "503"}
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
