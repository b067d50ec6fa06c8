"""TF Serving's message and service modules, imported after TensorFlow's environment is set.

The generated modules import `tensorflow.core` and with it all of TensorFlow; there is no lighter way. They are imported
here alone, after `unified_ranker.model_server.plain_tensorflow`, which sets the environment.

Not imported: `prediction_service_pb2` and `model_service_pb2`, which protobuf 6 refuses as
tensorflow-serving-api 2.20.0 builds them. The service modules (`*_pb2_grpc`) do not need them.
"""

from unified_ranker.model_server.plain_tensorflow import tf  # noqa: F401

# isort: split
from tensorflow.core.framework import tensor_pb2
from tensorflow.core.protobuf import config_pb2, meta_graph_pb2, saved_model_pb2
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
    "config_pb2",
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
