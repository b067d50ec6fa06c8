"""A small SavedModel of the served model's form, whose every output a test can write down in NumPy."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest

from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.model_server.messages import (
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)
from unified_ranker.towers.tensorflow import tf

MODEL = "toy"
NEWEST = 10
WARMUP_REQUESTS = 3


def _strings(rank: int, name: str) -> tf.TensorSpec:
    return tf.TensorSpec([None] * rank, tf.string, name=name)


class ToyRanker(tf.Module):
    def __init__(self) -> None:
        super().__init__()
        self.calls = tf.Variable(0, dtype=tf.int64)

    @tf.function(
        input_signature=[
            _strings(1, "user_id"),
            _strings(1, "task"),
            _strings(1, "query"),
            tf.TensorSpec([None], tf.int64, name="timestamp"),
            _strings(2, "history_item_id"),
            tf.TensorSpec([None, None], tf.int64, name="history_timestamp"),
            tf.TensorSpec([None, None], tf.float32, name="history_value"),
        ]
    )
    def encode(self, user_id, task, query, timestamp, history_item_id, history_timestamp, history_value):
        age = tf.cast(timestamp - tf.reduce_sum(history_timestamp, axis=1), tf.float32)
        taste = tf.reduce_sum(history_value, axis=1)
        return {
            "query_vector": tf.stack([tf.cast(tf.strings.length(user_id), tf.float32), age, taste], axis=1),
            "imputed_query": tf.where(tf.equal(query, ""), task, query),
            "state_taste": taste[:, tf.newaxis],
            "state_items": history_item_id,
        }

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, 1], tf.float32, name="state_taste"),
            _strings(2, "state_items"),
            _strings(2, "candidate_ids"),
        ]
    )
    def rank_encoded(self, state_taste, state_items, candidate_ids):
        seen = tf.reduce_any(candidate_ids[:, :, tf.newaxis] == state_items[:, tf.newaxis, :], axis=2)
        score = state_taste * tf.cast(tf.strings.length(candidate_ids), tf.float32)
        return {"score": score, "retrieval_score": score / 2, "click": tf.cast(seen, tf.float32)}

    @tf.function(input_signature=[_strings(1, "text")])
    def lengths(self, text):
        return {"length": tf.cast(tf.strings.length(text), tf.int64)}

    @tf.function(input_signature=[_strings(1, "text")])
    def echo(self, text):
        return {"text": text, "text_bytes": text}

    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.float32, name="f32"),
            tf.TensorSpec([None], tf.float64, name="f64"),
            tf.TensorSpec([None], tf.int32, name="i32"),
            tf.TensorSpec([None], tf.uint8, name="u8"),
            tf.TensorSpec([None], tf.bool, name="flag"),
        ]
    )
    def types(self, f32, f64, i32, u8, flag):
        return {"f32": -f32, "f64": -f64, "i32": -i32, "u8": u8 + 1, "flag": ~flag}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float16, name="x")])
    def negated_half(self, x):
        return {"y": -x}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def to_half(self, x):
        return {"half": tf.cast(x, tf.float16)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.float32, name="x")])
    def double(self, x):
        return {"y": x * 2}

    @tf.function(input_signature=[tf.TensorSpec([None, 2], tf.float32, name="x")])
    def fails_above_ten(self, x):
        with tf.control_dependencies([tf.debugging.assert_less(x, 10.0, message="too big")]):
            return {"x": tf.identity(x), "sum": tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.int64, name="x")])
    def count(self, x):
        return {"calls": self.calls.assign_add(1) + 0 * tf.reduce_sum(x)}

    @tf.function(input_signature=[tf.TensorSpec([], tf.int32, name="steps")])
    def slow(self, steps):
        return {"steps": tf.while_loop(lambda i: i < steps, lambda i: [i + 1], [tf.constant(0)])[0]}


SIGNATURES = (
    "encode",
    "rank_encoded",
    "lengths",
    "echo",
    "types",
    "negated_half",
    "to_half",
    "double",
    "fails_above_ten",
    "count",
    "slow",
)


def write_warmup(version_directory: Path, requests: list[predict_pb2.PredictRequest]) -> None:
    path = version_directory / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir(exist_ok=True)
    with tf.io.TFRecordWriter(str(path)) as writer:
        for request in requests:
            log = prediction_log_pb2.PredictionLog(predict_log=prediction_log_pb2.PredictLog(request=request))
            writer.write(log.SerializeToString())


def predict_request(signature: str, inputs: dict[str, object], model: str = MODEL) -> predict_pb2.PredictRequest:
    """The request as TensorFlow's own helpers write it; dtypes follow from the values."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = model
    request.model_spec.signature_name = signature
    for name, value in inputs.items():
        request.inputs[name].CopyFrom(tf.make_tensor_proto(value))
    return request


@contextlib.contextmanager
def refused(code: grpc.StatusCode, *parts: str) -> Iterator[None]:
    """Expect a gRPC error of this code whose message has these parts."""
    with pytest.raises(grpc.RpcError) as caught:
        yield
    assert caught.value.code() is code, caught.value.details()
    for part in parts:
        assert part in caught.value.details()


# --- on disk, and a server over it --------------------------------------------------------------------------------


@pytest.fixture(scope="session")
def base_path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Versions 9 and 10 (so that text order and number order differ) among what is no version."""
    base = tmp_path_factory.mktemp("models") / MODEL
    toy = ToyRanker()
    signatures = {name: getattr(toy, name) for name in SIGNATURES}
    tf.saved_model.save(toy, str(base / str(NEWEST)), signatures={**signatures, "serving_default": toy.double})
    tf.saved_model.save(toy, str(base / "9"), signatures={"old": toy.double})
    (base / "11.writing").mkdir()
    (base / "12").write_text("a file is no version")
    write_warmup(
        base / str(NEWEST),
        [predict_request("count", {"x": np.array([1], dtype=np.int64)})] * WARMUP_REQUESTS,
    )
    return base


@pytest.fixture(scope="session")
def server(base_path: Path) -> Iterator[EmbeddedModelServer]:
    with EmbeddedModelServer(base_path, model_name=MODEL) as running:
        yield running


@pytest.fixture(scope="session")
def channel(server: EmbeddedModelServer) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(server.grpc_address, options=[("grpc.enable_http_proxy", 0)]) as opened:
        yield opened


@pytest.fixture(scope="session")
def prediction(channel: grpc.Channel) -> prediction_service_pb2_grpc.PredictionServiceStub:
    return prediction_service_pb2_grpc.PredictionServiceStub(channel)


@pytest.fixture(scope="session")
def slow_steps(prediction: prediction_service_pb2_grpc.PredictionServiceStub) -> np.int32:
    """How many steps of the signature `slow` last about a second on this machine."""
    probe = 20_000
    prediction.Predict(predict_request("slow", {"steps": np.int32(1)}))
    started = time.monotonic()
    prediction.Predict(predict_request("slow", {"steps": np.int32(probe)}))
    return np.int32(probe / (time.monotonic() - started))


@pytest.fixture(scope="session")
def model_service(channel: grpc.Channel) -> model_service_pb2_grpc.ModelServiceStub:
    return model_service_pb2_grpc.ModelServiceStub(channel)


@pytest.fixture(scope="session")
def http(server: EmbeddedModelServer) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=f"http://{server.rest_address}", trust_env=False, timeout=30) as client:
        yield client
