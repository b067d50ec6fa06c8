"""TF Serving's message and service modules, imported after Keras 2 has been chosen.

The generated modules import `tensorflow.core`, and with it all of TensorFlow: no way to them is
lighter. They therefore have one door here, behind `unified_ranker.towers.tensorflow`, which must come first.

Not imported: `prediction_service_pb2` and `model_service_pb2`, which tensorflow-serving-api 2.20.0 builds in
a way that protobuf 6 refuses. The service modules (`*_pb2_grpc`) do not need them.
"""

from unified_ranker.model_server.plain_tensorflow import tf  # noqa: F401

# isort: split
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import meta_graph_pb2, saved_model_pb2
from tensorflow_serving.apis import (
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    model_service_pb2_grpc,
    predict_pb2,
    prediction_log_pb2,
    prediction_service_pb2_grpc,
)

__all__ = [
    "get_model_metadata_pb2",
    "get_model_status_pb2",
    "meta_graph_pb2",
    "model_pb2",
    "model_service_pb2_grpc",
    "predict_pb2",
    "prediction_log_pb2",
    "prediction_service_pb2_grpc",
    "saved_model_pb2",
    "tensor_pb2",
]
