"""The embedded model server through TF Serving's own generated stubs, over a real channel."""

import concurrent.futures

import grpc
import numpy as np
import pytest
from model_server_toy import MODEL, NEWEST, WARMUP_REQUESTS, predict_request, refused

from unified_ranker.model_server.messages import get_model_metadata_pb2, get_model_status_pb2, predict_pb2, tensor_pb2
from unified_ranker.towers.tensorflow import tf

CODE = grpc.StatusCode


def encode_inputs(history: int = 2) -> dict[str, np.ndarray]:
    return {
        "user_id": np.array(["ann", "bé"], dtype=object),
        "task": np.array(["search", "home_feed"], dtype=object),
        "query": np.array(["red shoe", ""], dtype=object),
        "timestamp": np.array([100, 2**40], dtype=np.int64),
        "history_item_id": np.array([[b"i\x00"] * history] * 2, dtype=object).reshape(2, history),
        "history_timestamp": np.arange(2 * history, dtype=np.int64).reshape(2, history),
        "history_value": np.arange(2 * history, dtype=np.float32).reshape(2, history) / 4,
    }


def arrays(response: predict_pb2.PredictResponse) -> dict[str, np.ndarray]:
    return {name: tf.make_ndarray(proto) for name, proto in response.outputs.items()}


def test_predict_runs_the_signature_on_strings_integers_and_floats(prediction):
    inputs = encode_inputs()
    response = prediction.Predict(predict_request("encode", inputs))
    outputs = arrays(response)
    lengths = [3, 3]  # bytes, as TensorFlow counts: "bé" has three
    age = inputs["timestamp"] - inputs["history_timestamp"].sum(axis=1)
    taste = inputs["history_value"].sum(axis=1)
    np.testing.assert_allclose(outputs["query_vector"], np.stack([lengths, age, taste], axis=1))
    assert outputs["imputed_query"].tolist() == [b"red shoe", b"home_feed"]
    assert outputs["state_items"].tolist() == [[b"i\x00", b"i\x00"]] * 2, "bytes come back whole"
    assert outputs["state_taste"].dtype == np.float32
    assert response.model_spec.name == MODEL
    assert response.model_spec.signature_name == "encode"
    assert response.model_spec.version.value == NEWEST


def test_predict_takes_an_empty_history(prediction):
    outputs = arrays(prediction.Predict(predict_request("encode", encode_inputs(history=0))))
    assert outputs["state_items"].shape == (2, 0)
    assert outputs["state_taste"].tolist() == [[0.0], [0.0]]


def test_states_of_encode_rank_candidates(prediction):
    inputs = encode_inputs()
    states = arrays(prediction.Predict(predict_request("encode", inputs)))
    candidates = np.array([["i\0", "long one", ""], ["b", "c", "i\0"]], dtype=object)
    request = predict_request(
        "rank_encoded",
        {
            "state_taste": states["state_taste"],
            "state_items": states["state_items"],
            "candidate_ids": candidates,
        },
    )
    outputs = arrays(prediction.Predict(request))
    taste = inputs["history_value"].sum(axis=1, keepdims=True)
    np.testing.assert_allclose(outputs["score"], taste * np.vectorize(len)(candidates))
    np.testing.assert_allclose(outputs["click"], [[1, 0, 0], [0, 0, 1]])
    assert outputs.keys() == {"score", "retrieval_score", "click"}


def test_no_signature_name_means_serving_default(prediction):
    response = prediction.Predict(predict_request("", {"x": np.float32([1, 2])}))
    assert arrays(response)["y"].tolist() == [2.0, 4.0]
    assert response.model_spec.signature_name == "serving_default"


@pytest.mark.parametrize(
    "proto",
    [
        tf.make_tensor_proto(np.float32([1, 2])),
        tensor_pb2.TensorProto(dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), float_val=[1.0, 2.0]),
        tensor_pb2.TensorProto(
            dtype=1, tensor_shape=tf.TensorShape([2]).as_proto(), tensor_content=np.float32([1, 2]).tobytes()
        ),
    ],
    ids=["helper", "values", "content"],
)
def test_every_form_of_a_tensor_is_read(prediction, proto):
    request = predict_request("double", {})
    request.inputs["x"].CopyFrom(proto)
    assert arrays(prediction.Predict(request))["y"].tolist() == [2.0, 4.0]


def test_one_value_stands_for_a_whole_tensor(prediction):
    request = predict_request("double", {})
    request.inputs["x"].CopyFrom(
        tensor_pb2.TensorProto(dtype=1, tensor_shape=tf.TensorShape([3]).as_proto(), float_val=[1.5])
    )
    assert arrays(prediction.Predict(request))["y"].tolist() == [3.0, 3.0, 3.0]


def test_every_number_type_passes(prediction):
    inputs = {
        "f32": np.float32([0.5]),
        "f64": np.float64([1e300]),
        "i32": np.int32([7]),
        "u8": np.uint8([254]),
        "flag": np.bool_([True]),
    }
    outputs = arrays(prediction.Predict(predict_request("types", inputs)))
    assert {name: value.tolist() for name, value in outputs.items()} == {
        "f32": [-0.5],
        "f64": [-1e300],
        "i32": [-7],
        "u8": [255],
        "flag": [False],
    }
    assert {name: value.dtype for name, value in outputs.items()} == {n: v.dtype for n, v in inputs.items()}


def test_half_precision_passes(prediction):
    outputs = arrays(prediction.Predict(predict_request("negated_half", {"x": np.float16([0.1, 2])})))
    np.testing.assert_array_equal(outputs["y"], -np.float16([0.1, 2]))


def test_output_filter_selects_outputs(prediction):
    request = predict_request("encode", encode_inputs())
    request.output_filter.extend(["imputed_query", "state_taste"])
    assert set(prediction.Predict(request).outputs) == {"imputed_query", "state_taste"}


@pytest.mark.parametrize("aliases", [["nonsense"], ["state_taste", "state_taste"]])
def test_output_filter_must_name_outputs_once(prediction, aliases):
    request = predict_request("encode", encode_inputs())
    request.output_filter.extend(aliases)
    with refused(CODE.INVALID_ARGUMENT, "output tensor alias", aliases[0]):
        prediction.Predict(request)


def test_unknown_model_is_not_found(prediction):
    with refused(CODE.NOT_FOUND, "Servable not found for request: Latest(other)"):
        prediction.Predict(predict_request("double", {"x": np.float32([1])}, model="other"))


@pytest.mark.parametrize("version", [9, 11, 12, 0])
def test_version_that_is_not_served_is_not_found(prediction, version):
    request = predict_request("double", {"x": np.float32([1])})
    request.model_spec.version.value = version
    with refused(CODE.NOT_FOUND, f"Specific({MODEL}, {version})"):
        prediction.Predict(request)


def test_served_version_can_be_named(prediction):
    request = predict_request("double", {"x": np.float32([1])})
    request.model_spec.version.value = NEWEST
    assert arrays(prediction.Predict(request))["y"].tolist() == [2.0]


def test_unknown_signature_is_a_failed_precondition_as_in_tf_serving(prediction):
    with refused(CODE.FAILED_PRECONDITION, 'Serving signature key "nonsense" not found.'):
        prediction.Predict(predict_request("nonsense", {}))


def test_label_is_refused_while_there_are_none(prediction):
    request = predict_request("double", {"x": np.float32([1])})
    request.model_spec.version_label = "stable"
    with refused(CODE.INVALID_ARGUMENT, "stable"):
        prediction.Predict(request)


def test_request_must_name_a_model(prediction):
    with refused(CODE.INVALID_ARGUMENT, "Missing ModelSpec"):
        prediction.Predict(predict_pb2.PredictRequest())
    with refused(CODE.INVALID_ARGUMENT, "no name"):
        prediction.Predict(predict_request("double", {}, model=""))


def test_missing_and_extra_inputs_are_named(prediction):
    inputs = encode_inputs()
    del inputs["query"]
    with refused(CODE.INVALID_ARGUMENT, "Sent extra: {}", "Missing but required: {query}"):
        prediction.Predict(predict_request("encode", inputs))
    with refused(CODE.INVALID_ARGUMENT, "Sent extra: {country}", "Missing but required: {query}"):
        prediction.Predict(predict_request("encode", {**inputs, "country": np.array(["US"] * 2, object)}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("timestamp", np.array([1, 2], dtype=np.int32)),
        ("timestamp", np.array(["1", "2"], dtype=object)),
        ("user_id", np.float32([1, 2])),
        ("user_id", np.array([["ann"], ["bob"]], dtype=object)),
        ("history_value", np.float32([1, 2])),
    ],
)
def test_wrong_type_or_rank_names_input_and_both_sides(prediction, name, value):
    inputs = {**encode_inputs(), name: value}
    received = "string" if value.dtype == object else str(value.dtype)
    with refused(CODE.INVALID_ARGUMENT, f"`{name}`", "encode", f"Received: {received}", "must be"):
        prediction.Predict(predict_request("encode", inputs))


def test_wrong_size_of_a_fixed_dimension_is_refused(prediction):
    with refused(CODE.INVALID_ARGUMENT, "`x`", "float32 [?, 2]", "float32 [1, 3]"):
        prediction.Predict(predict_request("fails_above_ten", {"x": np.float32([[1, 2, 3]])}))


@pytest.mark.parametrize(
    "proto",
    [
        tensor_pb2.TensorProto(
            dtype=1, tensor_shape=tf.TensorShape([3]).as_proto(), tensor_content=np.float32([1, 2]).tobytes()
        ),
        tensor_pb2.TensorProto(
            dtype=1, tensor_shape=tf.TensorShape(None).as_proto(), tensor_content=np.float32([1]).tobytes()
        ),
        tensor_pb2.TensorProto(
            dtype=1, tensor_shape=tf.TensorShape([None]).as_proto(), tensor_content=np.float32([1]).tobytes()
        ),
        tensor_pb2.TensorProto(dtype=tf.variant.as_datatype_enum),
        tensor_pb2.TensorProto(dtype=0),
    ],
    ids=["short", "no rank", "no size", "variant", "no type"],
)
def test_unreadable_tensor_is_named(prediction, proto):
    request = predict_request("double", {})
    request.inputs["x"].CopyFrom(proto)
    with refused(CODE.INVALID_ARGUMENT, "tensor parsing error: x"):
        prediction.Predict(request)


def test_error_in_the_graph_comes_with_its_own_code_and_message(prediction):
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict_request("fails_above_ten", {"x": np.float32([[1, 11]])}))
    assert caught.value.code() is CODE.INVALID_ARGUMENT
    assert caught.value.details().startswith("assertion failed: [too big]")


def test_long_message_is_cut_as_in_tf_serving(prediction):
    with pytest.raises(grpc.RpcError) as caught:
        prediction.Predict(predict_request("s" * 3000, {}))
    assert caught.value.details().startswith('Serving signature key "sss')
    assert caught.value.details().endswith("...TRUNCATED")
    assert len(caught.value.details()) == 1024 + len("...TRUNCATED")


def test_a_rejected_request_leaves_the_server_answering(prediction):
    with refused(CODE.INVALID_ARGUMENT):
        prediction.Predict(predict_request("fails_above_ten", {"x": np.float32([[1, 11]])}))
    outputs = arrays(prediction.Predict(predict_request("fails_above_ten", {"x": np.float32([[1, 2]])})))
    assert outputs["sum"].tolist() == 3.0


def test_deadline_ends_the_call(prediction, slow_steps):
    request = predict_request("slow", {"steps": slow_steps})
    with refused(CODE.DEADLINE_EXCEEDED):
        prediction.Predict(request, timeout=0.05)


def test_messages_may_be_larger_than_grpc_allows_by_default(server):
    options = [("grpc.max_receive_message_length", -1), ("grpc.enable_http_proxy", 0)]
    with grpc.insecure_channel(server.grpc_address, options=options) as channel:
        call = channel.unary_unary(
            "/tensorflow.serving.PredictionService/Predict",
            request_serializer=predict_pb2.PredictRequest.SerializeToString,
            response_deserializer=predict_pb2.PredictResponse.FromString,
        )
        response = call(predict_request("double", {"x": np.ones(2_000_000, dtype=np.float32)}))
    assert arrays(response)["y"].sum() == 4_000_000


def test_concurrent_requests_get_their_own_answers(prediction):
    def one(number: int) -> tuple[list[float], list[bytes]]:
        doubled = arrays(prediction.Predict(predict_request("double", {"x": np.float32([number] * 50)})))
        echoed = prediction.Predict(predict_request("echo", {"text": np.array([f"t{number}"], object)}))
        return doubled["y"].tolist(), arrays(echoed)["text"].tolist()

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        answers = list(pool.map(one, range(200)))
    assert answers == [([2.0 * n] * 50, [f"t{n}".encode()]) for n in range(200)]


def test_warmup_requests_ran_before_the_first_client(prediction):
    response = prediction.Predict(predict_request("count", {"x": np.int64([0])}))
    assert arrays(response)["calls"] == WARMUP_REQUESTS + 1


def test_metadata_describes_the_signatures(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = MODEL
    response = prediction.GetModelMetadata(request)
    assert response.model_spec.version.value == NEWEST
    signatures = get_model_metadata_pb2.SignatureDefMap()
    assert response.metadata["signature_def"].Unpack(signatures)
    encode = signatures.signature_def["encode"]
    assert encode.method_name == "tensorflow/serving/predict"
    assert encode.inputs["history_value"].dtype == tf.float32.as_datatype_enum
    assert [d.size for d in encode.inputs["history_value"].tensor_shape.dim] == [-1, -1]
    assert [d.size for d in encode.outputs["query_vector"].tensor_shape.dim] == [-1, 3]


@pytest.mark.parametrize("fields", [[], ["signature_def", "something"]])
def test_metadata_fields_are_checked(prediction, fields):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=fields)
    request.model_spec.name = MODEL
    with refused(CODE.INVALID_ARGUMENT, "etadata"):
        prediction.GetModelMetadata(request)


def test_metadata_of_an_unknown_model_is_not_found(prediction):
    request = get_model_metadata_pb2.GetModelMetadataRequest(metadata_field=["signature_def"])
    request.model_spec.name = "other"
    with refused(CODE.NOT_FOUND, "other"):
        prediction.GetModelMetadata(request)


def test_status_tells_the_version_and_its_state(model_service):
    request = get_model_status_pb2.GetModelStatusRequest()
    request.model_spec.name = MODEL
    (status,) = model_service.GetModelStatus(request).model_version_status
    assert status.version == NEWEST
    assert status.state == get_model_status_pb2.ModelVersionStatus.AVAILABLE
    assert status.status.error_code == 0
    request.model_spec.version.value = NEWEST
    assert model_service.GetModelStatus(request).model_version_status[0] == status


def test_status_of_what_is_not_there_is_not_found(model_service):
    request = get_model_status_pb2.GetModelStatusRequest()
    with refused(CODE.INVALID_ARGUMENT, "Missing ModelSpec"):
        model_service.GetModelStatus(request)
    request.model_spec.name = "other"
    with refused(CODE.NOT_FOUND, "Could not find any versions of model other"):
        model_service.GetModelStatus(request)
    request.model_spec.name = MODEL
    request.model_spec.version.value = 9
    with refused(CODE.NOT_FOUND, f"Could not find version 9 of model {MODEL}"):
        model_service.GetModelStatus(request)


def test_other_calls_are_unimplemented(channel):
    call = channel.unary_unary("/tensorflow.serving.PredictionService/Classify")
    with refused(CODE.UNIMPLEMENTED):
        call(b"")
