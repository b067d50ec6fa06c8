"""Conversion of NumPy arrays to `TensorProto` and back; numbers are not converted one by one."""

import functools
import math
from typing import Any

import numpy as np

from unified_ranker.core.tensor_messages import STRING, TensorSpec, fill_tensor
from unified_ranker.model_server.messages import meta_graph_pb2, tensor_pb2
from unified_ranker.model_server.plain_tensorflow import tf

_MOST_REPEATED = 2**20
"""Most values for which one may stand. TF Serving has no such limit: it takes the memory, or fails to."""
# Fields that TF Serving fills unless it runs with --enable_serialization_as_tensor_content.
_VALUE_FIELDS = {
    np.dtype(np.float32): "float_val",
    np.dtype(np.float64): "double_val",
    np.dtype(np.int32): "int_val",
    np.dtype(np.int64): "int64_val",
    np.dtype(np.bool_): "bool_val",
}


class ProtoSpec(TensorSpec):
    """Type and shape of an input or output, with what a server checks by them."""

    @classmethod
    def from_info(cls, info: meta_graph_pb2.TensorInfo) -> "ProtoSpec":
        """Read the entry of a SignatureDef."""
        return cls.of(info, lambda number: str(tf.as_dtype(number).name))

    @functools.cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of the arrays that fit; `STRING` for strings."""
        return np.dtype(tf.as_dtype(self.dtype).as_numpy_dtype)


def from_proto(proto: tensor_pb2.TensorProto) -> np.ndarray:
    """Return the array that a TensorProto holds, in any of the forms that the format allows.

    The array of a number tensor may be read-only.

    Raises:
        ValueError: the proto's type has no array form, or its values do not fill its shape.
    """
    shape = tuple([dim.size for dim in proto.tensor_shape.dim])
    if proto.tensor_shape.unknown_rank or min(shape, default=0) < 0:
        raise ValueError("its shape is not fully known")
    dtype = _numpy_dtype(proto.dtype)
    if dtype == STRING:
        if len(proto.string_val) == math.prod(shape):
            return np.array(list(proto.string_val), dtype=STRING).reshape(shape)
    elif proto.tensor_content:
        return np.frombuffer(proto.tensor_content, dtype=dtype).reshape(shape)
    elif dtype in _VALUE_FIELDS:
        values = getattr(proto, _VALUE_FIELDS[dtype])
        if len(values) == math.prod(shape):
            return np.fromiter(values, dtype=dtype, count=len(values)).reshape(shape)
    # The rare forms: the last value repeated to fill the shape, int8 in wide fields, strings as content.
    # By the first, a message of a few bytes can ask for any amount of memory.
    if math.prod(shape) > max(_MOST_REPEATED, proto.ByteSize()):
        raise ValueError(
            f"its values do not fill shape {list(shape)}; one value may stand for at most {_MOST_REPEATED} values"
        )
    try:
        return np.asarray(tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype)).numpy())
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"its values do not fill shape {list(shape)}") from error


def fill_proto(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Write an array into an empty TensorProto; see `fill_tensor`."""
    fill_tensor(proto, array, _data_type)


@functools.cache
def _data_type(dtype: np.dtype[Any]) -> int:
    try:
        return int(tf.as_dtype(dtype).as_datatype_enum)
    except TypeError as error:
        raise TypeError(f"TensorFlow has no type for arrays of `{dtype}`") from error


@functools.cache
def _numpy_dtype(data_type: int) -> np.dtype[Any]:
    try:
        dtype = np.dtype(tf.as_dtype(data_type).as_numpy_dtype)
    except (KeyError, TypeError) as error:
        raise ValueError(f"data type {data_type} has no array form") from error
    if dtype == STRING and data_type != tf.string.as_datatype_enum:
        raise ValueError(f"data type {tf.as_dtype(data_type).name} has no array form")
    return dtype
