"""The embedded model server over HTTP, with bodies in the form of TF Serving's REST documentation."""

import asyncio
import base64
import concurrent.futures
import json
import math
import socket

import grpc
import httpx
import pytest
from model_server_toy import MODEL, NEWEST

from unified_ranker.model_server.rest_api import create_rest_app
from unified_ranker.model_server.status_codes import http_status, status_code
from unified_ranker.model_server.versions import ModelVersions

PREDICT = f"/v1/models/{MODEL}:predict"


def post(http, body, path=PREDICT):
    response = http.post(path, content=body if isinstance(body, str) else json.dumps(body))
    assert response.headers["content-type"] == "application/json"
    return response


def answer(http, body, path=PREDICT):
    response = post(http, body, path)
    assert response.status_code == 200, response.text
    return response.json()


def error(http, status, body, path=PREDICT):
    response = post(http, body, path)
    assert response.status_code == status, response.text
    assert response.json().keys() == {"error"}
    return response.json()["error"]


def test_row_form_with_one_input_and_one_output_has_bare_values(http):
    assert answer(http, {"instances": [1.0, 2.0, 5.0]}) == {"predictions": [2.0, 4.0, 10.0]}
    lengths = answer(http, {"signature_name": "lengths", "instances": ["foo", "bé", ""]})
    assert lengths == {"predictions": [3, 3, 0]}


def test_row_form_may_name_its_one_input(http):
    assert answer(http, {"instances": [{"x": 1}, {"x": -2}]}) == {"predictions": [2.0, -4.0]}


def encode_instance(user: str, query: str, values: list[float]) -> dict[str, object]:
    return {
        "user_id": user,
        "task": "search",
        "query": query,
        "timestamp": 100,
        "history_item_id": ["i"] * len(values),
        "history_timestamp": [1] * len(values),
        "history_value": values,
    }


def test_row_form_with_several_inputs_and_outputs_has_objects(http):
    instances = [encode_instance("ann", "", [0.1, 0.1]), encode_instance("robert", "shoe", [1, 2])]
    predictions = answer(http, {"signature_name": "encode", "instances": instances})["predictions"]
    assert predictions == [
        {
            "query_vector": [3.0, 98.0, 0.2],
            "imputed_query": "search",
            "state_taste": [0.2],
            "state_items": ["i", "i"],
        },
        {
            "query_vector": [6.0, 98.0, 3.0],
            "imputed_query": "shoe",
            "state_taste": [3.0],
            "state_items": ["i", "i"],
        },
    ]


def test_column_form_answers_the_same_by_column(http):
    body = {
        "signature_name": "rank_encoded",
        "inputs": {
            "state_taste": [[1.5], [2]],
            "state_items": [["a"], ["b"]],
            "candidate_ids": [["a", "long"], ["a", "b"]],
        },
    }
    assert answer(http, body) == {
        "outputs": {
            "score": [[1.5, 6.0], [2.0, 2.0]],
            "retrieval_score": [[0.75, 3.0], [1.0, 1.0]],
            "click": [[1.0, 0.0], [0.0, 1.0]],
        }
    }


def test_column_form_with_one_input_and_one_output_has_bare_values(http):
    assert answer(http, {"inputs": [1, 2]}) == {"outputs": [2.0, 4.0]}
    assert answer(http, {"inputs": {"x": [1, 2]}}) == {"outputs": [2.0, 4.0]}


def test_column_form_takes_a_scalar(http):
    assert answer(http, {"signature_name": "slow", "inputs": 3}) == {"outputs": 3}


def test_empty_lists_are_tensors_of_no_size(http):
    body = {
        "signature_name": "rank_encoded",
        "inputs": {"state_taste": [[1.5]], "state_items": [[]], "candidate_ids": [["a"]]},
    }
    assert answer(http, body)["outputs"]["click"] == [[0.0]]


def test_bytes_come_and_go_as_base64(http):
    raw = bytes(range(256))
    encoded = base64.b64encode(raw).decode()
    body = {"signature_name": "lengths", "instances": [{"b64": encoded}, {"b64": "YWI="}]}
    assert answer(http, body) == {"predictions": [256, 2]}
    body = {"signature_name": "echo", "inputs": [{"b64": base64.b64encode("é".encode()).decode()}]}
    assert answer(http, body) == {"outputs": {"text": ["é"], "text_bytes": [{"b64": "w6k="}]}}


def test_output_that_is_not_text_must_be_named_bytes(http):
    message = error(http, 400, {"signature_name": "echo", "inputs": [{"b64": "/w=="}]})
    assert "`text`" in message
    assert "_bytes" in message


def test_numbers_keep_their_type_and_shortest_form(http):
    body = '{"instances": [0.1, 16777217, NaN, Infinity, -Infinity, 1e300]}'
    text = post(http, body).text
    assert text.startswith('{"predictions": [0.2, 33554432.0, NaN, Infinity, -Infinity, Infinity')
    values = json.loads(text)["predictions"]
    assert math.isnan(values[2])


def types_inputs(**changes: object) -> dict[str, object]:
    inputs = {"f32": [1], "f64": [0.1], "i32": [-5], "u8": [1], "flag": [True]}
    return {"signature_name": "types", "inputs": {**inputs, **changes}}


def test_every_type_of_the_documentation_passes(http):
    outputs = answer(http, types_inputs())["outputs"]
    assert outputs == {"f32": [-1.0], "f64": [-0.1], "i32": [5], "u8": [2], "flag": [False]}
    assert [type(column[0]) for column in outputs.values()] == [float, float, bool, int, int]


def test_type_that_the_documentation_leaves_out_is_named(http):
    assert "float16" in error(http, 501, {"signature_name": "negated_half", "inputs": [1]})
    assert "float16" in error(http, 400, {"signature_name": "to_half", "inputs": [1]})


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"f32": ["1"]}, '"1"'),
        ({"f32": [True]}, "true"),
        ({"f64": [None]}, "null"),
        ({"i32": [1.0]}, "1.0"),
        ({"i32": [True]}, "true"),
        ({"i32": [2**31]}, str(2**31)),
        ({"u8": [-1]}, "-1"),
        ({"flag": [1]}, "1"),
        ({"flag": [{"b64": "YQ=="}]}, "b64"),
    ],
)
def test_value_of_another_type_is_refused_with_its_place(http, change, shown):
    message = error(http, 400, types_inputs(**change))
    assert f"key: {next(iter(change))} " in message
    assert shown in message


@pytest.mark.parametrize("texts", [[1], [None], [{"b64": "!!!"}], [{"b64": "YQ==", "other": 1}], ["\ud800"]])
def test_what_is_no_string_is_refused(http, texts):
    body = {"signature_name": "lengths", "inputs": {"text": texts}}
    assert "key: text" in error(http, 400, body)


@pytest.mark.parametrize("value", [[[1, 2], [3]], [[1, 2], 3], [1, [2]], [[1], [2, 3]], [[], [1]]])
def test_ragged_lists_are_refused(http, value):
    error(http, 400, {"signature_name": "fails_above_ten", "inputs": value})


def test_wrong_shape_names_both_shapes(http):
    message = error(http, 400, {"signature_name": "fails_above_ten", "inputs": [[1, 2, 3]]})
    assert "float32 [?, 2]" in message
    assert "float32 [1, 3]" in message


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ("", "JSON Parse error"),
        ("{", "JSON Parse error"),
        ("[" * 100_000, "JSON Parse error"),
        ("[1]", "Is not object"),
        ("{}", "Missing 'inputs' or 'instances' key"),
        ('{"instances": [1], "inputs": [1]}', "only one of"),
        ('{"instances": 1}', "list"),
        ('{"instances": []}', "at least one"),
        ('{"signature_name": 3, "instances": [1]}', "must be a string"),
        ('{"signature_name": "nonsense", "instances": [1]}', '"nonsense" not found'),
        ('{"signature_name": "encode", "instances": [1]}', "must name its inputs"),
        ('{"signature_name": "encode", "inputs": [1]}', "must name its inputs"),
        ('{"signature_name": "rank_encoded", "inputs": {"state_taste": [[1]]}}', "Missing named input"),
        ('{"instances": [{"x": 1}, 2]}', "element: 1"),
        ('{"instances": [{"x": 1}, {"x": 1, "y": 2}]}', "element: 1"),
        ('{"instances": [{"x": 1}, {}]}', "element: 1"),
        ('{"signature_name": "fails_above_ten", "inputs": [[1, 11]]}', "too big"),
    ],
)
def test_malformed_body_is_a_bad_request_that_says_why(http, body, part):
    assert part in error(http, 400, body)


def test_row_form_needs_one_output_value_per_instance(http):
    message = error(http, 400, {"signature_name": "fails_above_ten", "instances": [[1, 2]]})
    assert "sum" in message
    assert "'inputs'" in message


def test_unknown_model_and_version_are_404(http):
    body = {"instances": [1]}
    assert error(http, 404, body, "/v1/models/half:predict") == ("Servable not found for request: Latest(half)")
    assert error(http, 404, body, f"/v1/models/{MODEL}/versions/9:predict") == (
        f"Servable not found for request: Specific({MODEL}, 9)"
    )


def test_version_in_the_path(http):
    path = f"/v1/models/{MODEL}/versions/{NEWEST}:predict"
    assert answer(http, {"instances": [1]}, path) == {"predictions": [2.0]}


def test_other_methods_are_501(http):
    assert "classify" in error(http, 501, {}, f"/v1/models/{MODEL}:classify")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", f"/v1/models/{MODEL}", 400),
        ("GET", f"/v1/models/{MODEL}:predict", 400),
        ("GET", f"/v1/models/{MODEL}/versions/x", 400),
        ("GET", f"/v1/models/{MODEL}/versions/{2**63}", 400),
        ("GET", "/v1/models", 400),
        ("GET", "/", 404),
        ("PUT", f"/v1/models/{MODEL}", 405),
    ],
)
def test_malformed_path_is_refused_in_json(http, method, path, status):
    response = http.request(method, path)
    assert response.status_code == status
    assert response.json().keys() == {"error"}


@pytest.mark.parametrize("path", [f"/v1/models/{MODEL}", f"/v1/models/{MODEL}/versions/{NEWEST}"])
def test_status_is_that_of_the_documentation(http, path):
    assert http.get(path).json() == {
        "model_version_status": [
            {
                "version": str(NEWEST),
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }


def test_status_of_what_is_not_there_is_404(http):
    for path in ("/v1/models/other", f"/v1/models/{MODEL}/versions/9", "/v1/models/other/metadata"):
        response = http.get(path)
        assert response.status_code == 404
        assert response.json().keys() == {"error"}


def test_metadata_has_the_signatures(http):
    document = http.get(f"/v1/models/{MODEL}/metadata").json()
    assert document["model_spec"] == {"name": MODEL, "signature_name": "", "version": str(NEWEST)}
    encode = document["metadata"]["signature_def"]["signature_def"]["encode"]
    assert encode["inputs"]["history_value"]["dtype"] == "DT_FLOAT"
    dims = encode["outputs"]["query_vector"]["tensor_shape"]["dim"]
    assert [dim["size"] for dim in dims] == ["-1", "3"]


def test_plain_http_bytes_of_the_documentation(server):
    """The documented `curl -d`, as bytes on a socket: form content type, no JSON header."""
    host, port = server.rest_address.split(":")
    body = b'{"instances": [1.0,2.0,5.0]}'
    head = (
        f"POST {PREDICT} HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/x-www-form-urlencoded\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(head.encode() + body)
        with connection.makefile("rb") as stream:
            answer_bytes = stream.read()
    assert answer_bytes.startswith(b"HTTP/1.1 200 OK\r\n")
    assert answer_bytes.endswith(b'\r\n\r\n{"predictions": [2.0, 4.0, 10.0]}')


def ask(app, method: str, path: str, body: object = None) -> httpx.Response:
    """One request to an application without a socket."""

    async def send() -> httpx.Response:
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://model-server") as client:
            return await client.request(method, path, json=body)

    return asyncio.run(send())


@pytest.fixture
def threads():
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        yield pool


def test_request_that_lasts_too_long_is_a_gateway_timeout(base_path, threads, slow_steps):
    model_versions = ModelVersions(base_path, MODEL)
    model_versions.load_wanted()
    app = create_rest_app(model_versions, threads, timeout=0.05)
    response = ask(app, "POST", PREDICT, {"signature_name": "slow", "inputs": int(slow_steps)})
    assert response.status_code == 504
    assert "0.05 s" in response.json()["error"]


def test_fault_of_ours_is_an_internal_error_in_json(threads, caplog):
    response = ask(create_rest_app(None, threads), "GET", f"/v1/models/{MODEL}")
    assert response.status_code == 500
    assert response.json()["error"].startswith("AttributeError")
    assert caplog.records[0].exc_info


@pytest.mark.parametrize(
    ("status", "names"),
    [
        (200, "OK"),
        (400, "INVALID_ARGUMENT FAILED_PRECONDITION OUT_OF_RANGE"),
        (401, "UNAUTHENTICATED"),
        (403, "PERMISSION_DENIED"),
        (404, "NOT_FOUND"),
        (409, "ALREADY_EXISTS ABORTED"),
        (429, "RESOURCE_EXHAUSTED"),
        (499, "CANCELLED"),
        (500, "UNKNOWN INTERNAL DATA_LOSS"),
        (501, "UNIMPLEMENTED"),
        (503, "UNAVAILABLE"),
        (504, "DEADLINE_EXCEEDED"),
    ],
)
def test_http_status_of_each_code(status, names):
    for name in names.split():
        code = grpc.StatusCode[name]
        assert http_status(code) == status
        assert status_code(code.value[0]) is code


def test_number_that_is_no_code_is_unknown():
    assert status_code(99) is grpc.StatusCode.UNKNOWN
