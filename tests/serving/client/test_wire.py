"""The messages that are made without TensorFlow are those of tensorflow-serving-api, byte for byte; replicas."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
from google.protobuf import any_pb2

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.messages import (
    config_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    meta_graph_pb2,
    model_pb2,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
    tensor_pb2,
)
from unified_ranker.model_server.tensor_protos import fill_proto
from unified_ranker.serving.client import wire
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.serving.client.tensors import read_tensor, write_tensor

OFFICIAL = {
    wire.ModelSpec: model_pb2.ModelSpec,
    wire.PredictRequest: predict_pb2.PredictRequest,
    wire.PredictResponse: predict_pb2.PredictResponse,
    wire.GetModelStatusRequest: get_model_status_pb2.GetModelStatusRequest,
    wire.GetModelStatusResponse: get_model_status_pb2.GetModelStatusResponse,
    wire.GetModelMetadataRequest: get_model_metadata_pb2.GetModelMetadataRequest,
    wire.GetModelMetadataResponse: get_model_metadata_pb2.GetModelMetadataResponse,
    wire.SignatureDefMap: get_model_metadata_pb2.SignatureDefMap,
    wire.Tensor: tensor_pb2.TensorProto,
    wire.MetaGraph: meta_graph_pb2.MetaGraphDef,
    wire.PredictionLog: prediction_log_pb2.PredictionLog,
    wire.SessionConfig: config_pb2.ConfigProto,
}


def same_fields(ours, official, seen=frozenset()):
    """Every field of ours has the number, form and content of the official one."""
    if ours.full_name in seen:
        return
    for field in ours.fields:
        other = official.fields_by_number[field.number]
        assert other.name == field.name
        assert other.is_repeated == field.is_repeated
        enum = other.type == other.TYPE_ENUM and field.type == field.TYPE_INT32  # the same on the wire
        assert enum or other.type == field.type, field.full_name
        if field.message_type and field.message_type.full_name != any_pb2.Any.DESCRIPTOR.full_name:
            same_fields(field.message_type, other.message_type, seen | {ours.full_name})


@pytest.mark.parametrize("ours", list(OFFICIAL), ids=lambda c: c.DESCRIPTOR.name)
def test_fields_have_the_numbers_and_types_of_the_official_messages(ours):
    same_fields(ours.DESCRIPTOR, OFFICIAL[ours].DESCRIPTOR)


@pytest.mark.parametrize("array", [np.float32([[1, 2]]), np.array(["é", "b"]), np.int64([7]), np.array([True, False])])
def test_a_request_is_the_same_bytes(array):
    ours, official = wire.PredictRequest(), predict_pb2.PredictRequest()
    for request, fill in ((ours, write_tensor), (official, fill_proto)):
        request.model_spec.name, request.model_spec.signature_name = "m", "s"
        request.model_spec.version.value = 3
        fill(request.inputs["x"], array)
    assert ours.SerializeToString() == official.SerializeToString()
    back = read_tensor(wire.PredictRequest.FromString(official.SerializeToString()).inputs["x"])
    assert back.shape == array.shape


def test_the_client_needs_no_tensorflow():
    program = "import sys, unified_ranker.serving.client.grpc_client; sys.exit('tensorflow' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


class Refusing(prediction_service_pb2_grpc.PredictionServiceServicer):
    def __init__(self, code):
        self.code, self.asked = code, 0

    def Predict(self, request, context):
        self.asked += 1
        context.abort(self.code, "no")


@pytest.fixture
def refusing():
    started = []

    def start(code):
        server, service = grpc.server(ThreadPoolExecutor(2)), Refusing(code)
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        started.append(server)
        return service, f"127.0.0.1:{port}"

    yield start
    for server in started:
        server.stop(None)


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED])
def test_what_a_replica_has_not_begun_is_asked_of_the_next(server, refusing, code):
    from model_server_toy import MODEL

    service, address = refusing(code)
    with ModelClient(f"{address},{server.grpc_address}", MODEL) as client:
        for _ in range(4):
            assert client.predict("double", {"x": np.float32([3])})["y"].tolist() == [6.0]
    assert service.asked == 2, "they are asked by turns"


@pytest.mark.parametrize("code", [grpc.StatusCode.INTERNAL, grpc.StatusCode.DEADLINE_EXCEEDED])
def test_what_may_have_begun_is_not_repeated(refusing, code):
    (first, one), (second, two) = refusing(code), refusing(code)
    with ModelClient(f"{one},{two}", "m") as client, pytest.raises(ModelServerError) as caught:
        client.predict("double", {"x": np.float32([3])})
    assert caught.value.code is code
    assert first.asked + second.asked == 1


def test_version_and_label_exclude_each_other():
    with pytest.raises(UserError, match="by `version` or by `label`"):
        ModelClient("127.0.0.1:1", version=1, label="stable")
