"""The toy model on disk, one embedded model server over it, and the means to call that."""

import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from model_server_toy import (
    MODEL,
    NEWEST,
    SIGNATURES,
    WARMUP_REQUESTS,
    ToyRanker,
    predict_request,
    write_warmup,
)

from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.model_server.messages import model_service_pb2_grpc, prediction_service_pb2_grpc
from unified_ranker.towers.tensorflow import tf


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
