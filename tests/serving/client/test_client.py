"""The TF Serving client, against the embedded model server and against what is no server."""

import concurrent.futures
import socket
import threading

import grpc
import hypothesis
import hypothesis.extra.numpy as npst
import numpy as np
import pytest
from hypothesis import strategies as st
from model_server_toy import MODEL, NEWEST

from unified_ranker.core.tensor_messages import TensorSpec
from unified_ranker.model_server.messages import get_model_status_pb2, model_service_pb2_grpc, tensor_pb2
from unified_ranker.model_server.tensor_protos import fill_proto, from_proto
from unified_ranker.serving.client.grpc_client import ModelClient, VersionStatus
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.towers.tensorflow import tf


@pytest.fixture(scope="module")
def client(server):
    with ModelClient(server.grpc_address, model_name=MODEL) as opened:
        yield opened


@pytest.fixture
def free_port():
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_predict_takes_and_gives_arrays(client):
    outputs = client.predict(
        "rank_encoded",
        {
            "state_taste": np.float32([[0.5]]),
            "state_items": np.array([["seen"]]),
            "candidate_ids": np.array([["seen", "unseen one"]]),
        },
    )
    assert outputs.keys() == {"score", "retrieval_score", "click"}
    np.testing.assert_array_equal(outputs["score"], [[2.0, 5.0]])
    np.testing.assert_array_equal(outputs["click"], [[1.0, 0.0]])
    assert outputs["score"].dtype == np.float32
    outputs["score"] += 1  # the caller's own, so writable


@pytest.mark.parametrize(
    "texts",
    [
        np.array(["é", ""]),
        np.array(["é".encode(), b""]),
        np.array(["é", b""], dtype=object),
    ],
    ids=["str", "bytes", "object"],
)
def test_strings_of_every_kind_arrive(client, texts):
    outputs = client.predict("echo", {"text": texts})
    assert outputs["text"].tolist() == ["é".encode(), b""]
    assert outputs["text"].dtype == object


def test_numbers_in_any_memory_layout_arrive(client):
    wide = np.arange(8, dtype=np.float32).reshape(2, 4)
    outputs = client.predict("fails_above_ten", {"x": wide.T[:, ::-1]})
    np.testing.assert_array_equal(outputs["x"], wide.T[:, ::-1])
    outputs = client.predict("double", {"x": np.array([1, 2], dtype=">f4")})
    np.testing.assert_array_equal(outputs["y"], [2, 4])


@pytest.mark.parametrize("value", [np.array([object()], dtype=object), np.array(["2020-01-01"], "M8[D]")])
def test_array_that_tensorflow_has_no_type_for_names_the_input(client, value):
    with pytest.raises(TypeError, match="input `text` of signature `echo`"):
        client.predict("echo", {"text": value})


def test_error_has_code_model_signature_and_address(client, server):
    with pytest.raises(ModelServerError) as caught:
        client.predict("nonsense", {})
    assert caught.value.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (caught.value.signature, caught.value.model) == ("nonsense", MODEL)
    for part in ("FAILED_PRECONDITION", "`nonsense`", f"`{MODEL}`", server.grpc_address, "not found"):
        assert part in str(caught.value)


def test_version_is_asked_for(server):
    with ModelClient(server.grpc_address, MODEL, version=NEWEST) as client:
        assert client.predict("double", {"x": np.float32([1])})["y"].tolist() == [2.0]
    with (
        ModelClient(server.grpc_address, MODEL, version=9) as client,
        pytest.raises(ModelServerError, match="`toy version 9`: NOT_FOUND"),
    ):
        client.predict("double", {"x": np.float32([1])})


def test_timeout_of_the_call_and_of_the_client(server, client, slow_steps):
    steps = {"steps": slow_steps}
    with pytest.raises(ModelServerError) as caught:
        client.predict("slow", steps, timeout=0.05)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    with (
        ModelClient(server.grpc_address, MODEL, timeout=0.05) as hasty,
        pytest.raises(ModelServerError, match="DEADLINE_EXCEEDED"),
    ):
        hasty.predict("slow", steps)


def test_nobody_there_is_unavailable(free_port):
    with (
        ModelClient(f"127.0.0.1:{free_port}", MODEL) as client,
        pytest.raises(ModelServerError, match=f"127.0.0.1:{free_port}") as caught,
    ):
        client.status()
    assert caught.value.code is grpc.StatusCode.UNAVAILABLE
    assert caught.value.signature is None


def test_proxy_of_the_environment_is_not_asked(server, free_port, monkeypatch):
    for name in ("http_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{free_port}")
    for name in ("no_proxy", "no_grpc_proxy", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
    with ModelClient(server.grpc_address, MODEL) as client:
        assert client.status()


def test_metadata_has_types_and_shapes(client):
    metadata = client.metadata()
    assert (metadata.name, metadata.version) == (MODEL, NEWEST)
    encode = metadata.signatures["encode"]
    assert encode.inputs["timestamp"] == TensorSpec("int64", (None,))
    assert encode.inputs["history_value"] == TensorSpec("float32", (None, None))
    assert encode.outputs["query_vector"] == TensorSpec("float32", (None, 3))
    assert encode.outputs["imputed_query"] == TensorSpec("string", (None,))
    assert metadata.signatures["slow"].inputs["steps"] == TensorSpec("int32", ())
    assert "__saved_model_init_op" not in metadata.signatures


def test_status_lists_versions(client):
    assert client.status() == [VersionStatus(NEWEST, "AVAILABLE", "")]


def test_wait_returns_the_available_version(client):
    assert client.wait_until_available(5) == NEWEST


class _SlowToLoad(model_service_pb2_grpc.ModelServiceServicer):
    """Says NOT_FOUND, then LOADING, then AVAILABLE."""

    def __init__(self) -> None:
        self.asked = 0

    def GetModelStatus(self, request, context):
        self.asked += 1
        if self.asked == 1:
            context.abort(grpc.StatusCode.NOT_FOUND, "no versions yet")
        states = get_model_status_pb2.ModelVersionStatus
        state = states.LOADING if self.asked == 2 else states.AVAILABLE
        return get_model_status_pb2.GetModelStatusResponse(model_version_status=[states(version=4, state=state)])


def test_wait_outlasts_a_server_that_is_not_there_yet_and_a_model_that_loads(free_port):
    service = _SlowToLoad()
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(2))
    model_service_pb2_grpc.add_ModelServiceServicer_to_server(service, server)
    server.add_insecure_port(f"127.0.0.1:{free_port}")
    versions = []
    with ModelClient(f"127.0.0.1:{free_port}", MODEL) as client:
        waiting = threading.Thread(target=lambda: versions.append(client.wait_until_available(20)))
        waiting.start()
        server.start()
        waiting.join()
    server.stop(None).wait()
    assert versions == [4]
    assert service.asked == 3


def test_wait_ends_with_what_was_last_seen(server, free_port):
    with ModelClient(server.grpc_address, "other") as client:
        with pytest.raises(ModelServerError, match="NOT_FOUND"):
            client.status()  # connects, which on a busy machine may take longer than the wait below
        with pytest.raises(ModelServerError, match=r"not AVAILABLE within 0\.5 s; last seen: NOT_FOUND") as caught:
            client.wait_until_available(0.5)
    assert caught.value.code is grpc.StatusCode.DEADLINE_EXCEEDED
    with (
        ModelClient(f"127.0.0.1:{free_port}", MODEL) as client,
        pytest.raises(ModelServerError, match=r"not AVAILABLE within 0\.2 s; last seen: no answer"),
    ):
        client.wait_until_available(0.2)


def test_wait_does_not_wait_for_what_will_not_mend(free_port):
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(1))  # speaks gRPC, but not TF Serving's
    server.add_insecure_port(f"127.0.0.1:{free_port}")
    server.start()
    with ModelClient(f"127.0.0.1:{free_port}", MODEL) as client, pytest.raises(ModelServerError) as caught:
        client.wait_until_available(60)
    server.stop(None).wait()
    assert caught.value.code is grpc.StatusCode.UNIMPLEMENTED


@hypothesis.given(
    npst.arrays(
        st.sampled_from([np.float16, np.float32, np.float64, np.int8, np.int32, np.int64, np.uint64, np.bool_]),
        npst.array_shapes(min_dims=0, max_dims=3, min_side=0),
    )
)
def test_number_arrays_survive_the_proto(array):
    proto = tensor_pb2.TensorProto()
    fill_proto(proto, array)
    back = from_proto(proto)
    np.testing.assert_array_equal(back, array)
    assert (back.dtype, back.shape) == (array.dtype, array.shape)
    by_tensorflow = tf.make_ndarray(proto)
    np.testing.assert_array_equal(by_tensorflow, array)
    np.testing.assert_array_equal(from_proto(tf.make_tensor_proto(array)), array)


@hypothesis.given(st.lists(st.binary(max_size=5), max_size=6))
def test_byte_strings_survive_the_proto(values):
    array = np.array([*values, None], dtype=object)[:-1].reshape(1, -1)
    proto = tensor_pb2.TensorProto()
    fill_proto(proto, array)
    assert from_proto(proto).tolist() == [values]
    assert tf.make_ndarray(proto).tolist() == [values]


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int32, np.int64, np.bool_, np.int8])
def test_value_fields_of_tf_serving_are_read(dtype):
    """Without --enable_serialization_as_tensor_content, TF Serving answers in the typed fields."""
    array = np.array([[1, 0], [0, 1]], dtype=dtype)
    field = {"f": "float_val", "d": "double_val", "i": "int_val", "l": "int64_val", "?": "bool_val"}
    proto = tensor_pb2.TensorProto(
        dtype=tf.as_dtype(dtype).as_datatype_enum,
        tensor_shape=tf.TensorShape([2, 2]).as_proto(),
        **{field.get(np.dtype(dtype).char, "int_val"): array.ravel().tolist()},
    )
    back = from_proto(proto)
    np.testing.assert_array_equal(back, array)
    assert back.dtype == dtype
