"""Answer of a loaded model to a PredictRequest, for gRPC requests and warm-up records alike."""

from unified_ranker.model_server.messages import predict_pb2
from unified_ranker.model_server.savedmodels import SavedModel
from unified_ranker.model_server.status_codes import invalid_argument
from unified_ranker.model_server.tensor_protos import fill_proto, from_proto


def run_predict(model: SavedModel, request: predict_pb2.PredictRequest) -> predict_pb2.PredictResponse:
    """Run the request's signature on its inputs.

    Raises:
        ServingError: INVALID_ARGUMENT for an unreadable tensor; else as `SavedModel.signature` and
            `Signature.run`.
    """
    signature = model.signature(request.model_spec.signature_name)
    inputs = {}
    for name, proto in request.inputs.items():
        try:
            inputs[name] = from_proto(proto)
        except ValueError as error:
            raise invalid_argument(f"tensor parsing error: {name}: {error}") from error
    outputs = signature.run(inputs, request.output_filter)
    response = predict_pb2.PredictResponse()
    response.model_spec.name = request.model_spec.name
    response.model_spec.signature_name = signature.name
    response.model_spec.version.value = model.version
    for name, array in outputs.items():
        fill_proto(response.outputs[name], array)
    return response
