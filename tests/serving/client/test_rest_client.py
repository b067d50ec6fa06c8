"""The REST client gives what the gRPC client gives, and the same errors."""

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import grpc
import numpy as np
import pytest
from model_server_toy import MODEL, NEWEST

from unified_ranker.core.errors import UserError
from unified_ranker.serving.backends.base import MODEL_BACKENDS, ServedModel
from unified_ranker.serving.backends.open_backend import open_backend, require_address
from unified_ranker.serving.client.grpc_client import ModelClient, VersionStatus
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.client.rest_client import RestModelClient

INPUTS = {
    "echo": {"text": np.array(["é", "", "line\nbreak"], object)},
    "double": {"x": np.float32([1.5, -2])},
    "rank_encoded": {
        "state_taste": np.float32([[0.5]]),
        "state_items": np.array([["seen"]]),
        "candidate_ids": np.array([["seen", "unseen one"]]),
    },
    "encode": {
        "user_id": np.array(["ann"]), "task": np.array(["search"]), "query": np.array([""]),
        "timestamp": np.array([9]), "history_item_id": np.array([["a", "b"]]), "history_timestamp": np.array([[1, 2]]),
        "history_value": np.float32([[0.5, 1]]),
    },
}  # fmt: skip


@pytest.fixture(scope="module")
def clients(server):
    with (
        RestModelClient(f"http://{server.rest_address}", MODEL) as rest,
        ModelClient(server.grpc_address, MODEL) as rpc,
    ):
        yield rest, rpc


@pytest.mark.parametrize("signature", list(INPUTS))
def test_both_clients_give_the_same(clients, signature):
    rest, rpc = (client.predict(signature, INPUTS[signature]) for client in clients)
    assert rest.keys() == rpc.keys()
    for name, array in rpc.items():
        np.testing.assert_array_equal(rest[name], array)
        assert (rest[name].dtype, rest[name].shape) == (array.dtype, array.shape)


def test_status_and_metadata_are_the_same(clients):
    rest, rpc = clients
    assert rest.status() == rpc.status() == [VersionStatus(NEWEST, "AVAILABLE", "")]
    assert rest.metadata() == rpc.metadata()
    assert rest.wait_until_available(5) == NEWEST


def test_errors_have_the_code_that_the_status_stands_for(clients, server, slow_steps):
    rest, _ = clients
    with pytest.raises(ModelServerError) as wrong:
        rest.predict("double", {"x": np.array(["text"])})
    assert wrong.value.code is grpc.StatusCode.INVALID_ARGUMENT
    with (
        RestModelClient(f"http://{server.rest_address}", MODEL, version=9) as other,
        pytest.raises(ModelServerError) as none,
    ):
        other.status()
    assert none.value.code is grpc.StatusCode.NOT_FOUND
    with pytest.raises(ModelServerError) as late:
        rest.predict("slow", {"steps": slow_steps}, timeout=0.1)
    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert rest.predict("double", {"x": np.float32([1])})["y"].tolist() == [2.0], "another connection answers"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        free = listener.getsockname()[1]
    with RestModelClient(f"http://127.0.0.1:{free}", MODEL) as client, pytest.raises(ModelServerError) as gone:
        client.status()
    assert gone.value.code is grpc.StatusCode.UNAVAILABLE


def test_it_waits_for_a_version_that_may_come_and_not_for_what_will_not_mend(server):
    """As the client over gRPC does."""
    with (
        RestModelClient(f"http://{server.rest_address}", "other") as client,
        pytest.raises(ModelServerError, match=r"not AVAILABLE within 0\.5 s; last seen: NOT_FOUND") as late,
    ):
        client.wait_until_available(0.5)
    assert late.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    # It answers every method by 501, in HTML.
    with ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler) as other:
        threading.Thread(target=other.serve_forever).start()
        with (
            RestModelClient(f"http://127.0.0.1:{other.server_port}", MODEL) as client,
            pytest.raises(ModelServerError, match="HTTP 501 Unsupported method") as caught,
        ):
            client.wait_until_available(60)
        other.shutdown()
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


@pytest.mark.parametrize("client", [RestModelClient, ModelClient])
def test_a_model_is_called_by_version_or_by_label(client):
    with pytest.raises(UserError, match="Received: 3 and `canary`"):
        client("http://127.0.0.1:8501", version=3, label="canary")


def test_address_says_which_client_it_is():
    model = ServedModel(Path("releases/1"), "m", 1)
    assert isinstance(open_backend("http://127.0.0.1:8501", model), RestModelClient)
    assert isinstance(open_backend("127.0.0.1:8500", model), ModelClient)
    for address in ("https://127.0.0.1:8501", "http://host", "ftp://host:1"):
        with pytest.raises(UserError, match="http://host:port"):
            RestModelClient(address)


def test_the_error_about_an_address_names_every_form_that_there_is():
    MODEL_BACKENDS.add("triton", lambda address, model: None)
    try:
        with pytest.raises(UserError) as caught:
            require_address("no address")
    finally:
        MODEL_BACKENDS.remove("triton")
    for form in ("`host:port`", "`http://host:port`", "`in-process`", "`triton://…`"):
        assert form in str(caught.value)
