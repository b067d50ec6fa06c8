"""The HTTP API over a toy service: what it answers, what it refuses and how, and what happens without a model."""

import json
from datetime import UTC, datetime, timedelta, timezone

import hypothesis
import pytest
from fastapi.testclient import TestClient
from hypothesis import strategies as st
from pydantic_core import PydanticCustomError
from service_toy import (
    BODY,
    DAY,
    IMPUTED,
    LIMITS,
    QUERY,
    START,
    ToyHistories,
    client_of,
    events,
    expected,
    ids,
    recommend,
    refusal,
)

from unified_ranker.serving.http.body_fields import to_seconds
from unified_ranker.serving.http.request_context import MAX_BODY


@pytest.fixture(scope="module")
def client() -> TestClient:
    return client_of()


# --- answers ------------------------------------------------------------------------------------------------------


def test_answer_has_the_form_of_the_contract(client):
    body = recommend(client, history=[{"item_id": "i1", "timestamp": START}]).json()
    right = expected(QUERY, 6, LIMITS["search"])
    timings = body.pop("timings_ms")
    assert timings.keys() == {"encode", "retrieve", "rank", "total"}
    assert all(isinstance(spent, float) for spent in timings.values())
    assert len(body.pop("request_id")) > 8
    items = body.pop("items")
    assert body == {"release": 7, "task": "search", "imputed_query": QUERY, "degraded": None, "label": "stable"}
    assert items == [
        {
            "item_id": name,
            "title": f"Title {name[1:]}",
            "score": pytest.approx(-retrieval, rel=1e-5),
            "heads": {"like": pytest.approx(0.1)},
            "retrieval_score": pytest.approx(retrieval, rel=1e-5),
            "quality": {},
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
    assert len(ids(later)) == 51, "one of the dated items had come before then"


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
        ({"user_id": "u" * 481}, "user_id", "480"),
        ({"task": ""}, "task", "1 character"),
        ({"task": None}, "task", "string"),
        ({"query": "q" * 513}, "query", "512"),
        ({"source_item_id": "s" * 481}, "source_item_id", "480"),
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
        ({"history": [EVENT | {"event_type": "e" * 481}]}, "history.0.event_type", "480"),
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
    assert [fault["field"] for fault in body["details"]] == ["history.0.item_id", "history.0.timestamp"]
    body = refusal(recommend(client, **{f"k{n}": 1 for n in range(14)}), 422)
    assert len(body["details"]) == 10
    assert "13 more" in body["error"]


@pytest.mark.parametrize(
    ("content", "status", "says"),
    [
        (b"{", 422, "must be JSON"),
        (b"", 422, "must be a JSON object"),
        (b"[]", 422, "must be a JSON object"),
        (b'{"user_id": "\xff", "task": "search"}', 400, "body"),
        (b"[" * 40_000, 400, "body"),
        (b'{"user_id": "u", "task": "search", "limit": ' + b"9" * 5000 + b"}", 422, "limit"),
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
