"""Messages of TF Serving and TensorFlow, defined here by their field numbers, so that TensorFlow is not imported.

The generated modules of tensorflow-serving-api import all of TensorFlow: 600 MB and three seconds for a process that
only calls a model. The bytes are the same; a test compares them with the generated messages.

Reference: tensorflow_serving/apis/{model,predict,prediction_log,get_model_status,get_model_metadata}.proto,
tensorflow/core/framework/{tensor,tensor_shape}.proto, tensorflow/core/protobuf/{meta_graph,config}.proto.
"""

from typing import Any

from google.protobuf import any_pb2, descriptor_pb2, descriptor_pool, message_factory

_PACKAGE = "unified_ranker.wire"
_Field = descriptor_pb2.FieldDescriptorProto
_SCALARS = {
    "int64": _Field.TYPE_INT64, "int32": _Field.TYPE_INT32, "uint64": _Field.TYPE_UINT64, "uint32": _Field.TYPE_UINT32,
    "bool": _Field.TYPE_BOOL, "bytes": _Field.TYPE_BYTES, "string": _Field.TYPE_STRING, "float": _Field.TYPE_FLOAT,
    "double": _Field.TYPE_DOUBLE,
}  # fmt: skip

# Message: field: (number, type). `[]` after a type is repeated, `{}` a map from strings. Enums are their numbers.
_MESSAGES: dict[str, dict[str, tuple[int, str]]] = {
    "Dim": {"size": (1, "int64")},
    "Shape": {"dim": (2, "Dim[]"), "unknown_rank": (3, "bool")},
    "Tensor": {
        "dtype": (1, "int32"), "tensor_shape": (2, "Shape"), "tensor_content": (4, "bytes"),
        "float_val": (5, "float[]"), "double_val": (6, "double[]"), "int_val": (7, "int32[]"),
        "string_val": (8, "bytes[]"), "int64_val": (10, "int64[]"), "bool_val": (11, "bool[]"),
        "half_val": (13, "int32[]"), "uint32_val": (16, "uint32[]"), "uint64_val": (17, "uint64[]"),
    },
    "Int64Value": {"value": (1, "int64")},
    "ModelSpec": {
        "name": (1, "string"), "version": (2, "Int64Value"), "signature_name": (3, "string"),
        "version_label": (4, "string"),
    },
    "PredictRequest": {
        "model_spec": (1, "ModelSpec"), "inputs": (2, "Tensor{}"), "output_filter": (3, "string[]"),
    },
    "PredictResponse": {"outputs": (1, "Tensor{}"), "model_spec": (2, "ModelSpec")},
    "GetModelStatusRequest": {"model_spec": (1, "ModelSpec")},
    "Status": {"error_code": (1, "int32"), "error_message": (2, "string")},
    "ModelVersionStatus": {"version": (1, "int64"), "state": (2, "int32"), "status": (3, "Status")},
    "GetModelStatusResponse": {"model_version_status": (1, "ModelVersionStatus[]")},
    "GetModelMetadataRequest": {"model_spec": (1, "ModelSpec"), "metadata_field": (2, "string[]")},
    "GetModelMetadataResponse": {"model_spec": (1, "ModelSpec"), "metadata": (2, "Any{}")},
    "TensorInfo": {"name": (1, "string"), "dtype": (2, "int32"), "tensor_shape": (3, "Shape")},
    "SignatureDef": {"inputs": (1, "TensorInfo{}"), "outputs": (2, "TensorInfo{}"), "method_name": (3, "string")},
    "SignatureDefMap": {"signature_def": (1, "SignatureDef{}")},
    "MetaGraph": {"signature_def": (5, "SignatureDef{}")},
    "PredictLog": {"request": (1, "PredictRequest")},
    "PredictionLog": {"predict_log": (6, "PredictLog")},
    "SessionExperimental": {"disable_thread_spinning": (9, "bool")},
    "SessionConfig": {
        "intra_op_parallelism_threads": (2, "int32"), "inter_op_parallelism_threads": (5, "int32"),
        "use_per_session_threads": (9, "bool"), "experimental": (16, "SessionExperimental"),
    },
}  # fmt: skip

STATES = {0: "UNKNOWN", 10: "START", 20: "LOADING", 30: "AVAILABLE", 40: "UNLOADING", 50: "END"}
"""GetModelStatus' states by number."""


def _type_of(field: Any, name: str) -> None:
    if name in _SCALARS:
        field.type = _SCALARS[name]
    else:
        field.type = _Field.TYPE_MESSAGE
        field.type_name = ".google.protobuf.Any" if name == "Any" else f".{_PACKAGE}.{name}"


def _declare() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(
        name="unified_ranker/wire.proto", package=_PACKAGE, syntax="proto3", dependency=[any_pb2.DESCRIPTOR.name]
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field_name, (number, kind) in fields.items():
            bare = kind.removesuffix("[]").removesuffix("{}")
            field = message.field.add(name=field_name, number=number, label=_Field.LABEL_OPTIONAL)
            if kind == bare:
                _type_of(field, bare)
                continue
            field.label = _Field.LABEL_REPEATED
            if kind.endswith("[]"):
                _type_of(field, bare)
                continue
            entry = message.nested_type.add(name="".join(part.title() for part in field_name.split("_")) + "Entry")
            entry.options.map_entry = True
            _type_of(entry.field.add(name="key", number=1, label=_Field.LABEL_OPTIONAL), "string")
            _type_of(entry.field.add(name="value", number=2, label=_Field.LABEL_OPTIONAL), bare)
            field.type, field.type_name = _Field.TYPE_MESSAGE, f".{_PACKAGE}.{name}.{entry.name}"
    return file


def _classes() -> dict[str, Any]:
    # A pool of its own, because the process may load the generated messages, too.
    pool = descriptor_pool.DescriptorPool()
    pool.Add(descriptor_pb2.FileDescriptorProto.FromString(any_pb2.DESCRIPTOR.serialized_pb))
    pool.Add(_declare())
    return {
        name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")) for name in _MESSAGES
    }


_MADE = _classes()
Tensor = _MADE["Tensor"]
ModelSpec = _MADE["ModelSpec"]
PredictRequest = _MADE["PredictRequest"]
PredictResponse = _MADE["PredictResponse"]
GetModelStatusRequest = _MADE["GetModelStatusRequest"]
GetModelStatusResponse = _MADE["GetModelStatusResponse"]
GetModelMetadataRequest = _MADE["GetModelMetadataRequest"]
GetModelMetadataResponse = _MADE["GetModelMetadataResponse"]
SignatureDefMap = _MADE["SignatureDefMap"]
MetaGraph = _MADE["MetaGraph"]
PredictionLog = _MADE["PredictionLog"]
SessionExperimental = _MADE["SessionExperimental"]
SessionConfig = _MADE["SessionConfig"]
