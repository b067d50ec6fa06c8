"""Conversion of NumPy arrays to `TensorProto` and back; numbers are not converted one by one."""

import functools
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from unified_ranker.model_server.messages import meta_graph_pb2, tensor_pb2
from unified_ranker.model_server.plain_tensorflow import tf

STRING = np.dtype(object)
"""Type of string arrays: objects of type `bytes`, as TensorFlow gives them: NumPy's `S` type drops trailing NULs."""

# Fields that TF Serving fills unless it runs with --enable_serialization_as_tensor_content.
_VALUE_FIELDS = {
    np.dtype(np.float32): "float_val",
    np.dtype(np.float64): "double_val",
    np.dtype(np.int32): "int_val",
    np.dtype(np.int64): "int64_val",
    np.dtype(np.bool_): "bool_val",
}


@dataclass(frozen=True)
class ProtoSpec:
    """Type and shape of one input or output of a signature.

    Attributes:
        dtype: TensorFlow's name of the type, such as `float32` or `string`.
        shape: size of each dimension, None for any size; None instead of a tuple: any rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def from_info(cls, info: meta_graph_pb2.TensorInfo) -> "ProtoSpec":
        """Read the entry of a SignatureDef."""
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(d.size if d.size >= 0 else None for d in shape.dim)
        return cls(tf.as_dtype(info.dtype).name, sizes)

    @functools.cached_property
    def numpy_dtype(self) -> np.dtype[Any]:
        """The type of the arrays that fit; `STRING` for strings."""
        return np.dtype(tf.as_dtype(self.dtype).as_numpy_dtype)

    def admits(self, shape: tuple[int, ...]) -> bool:
        """Return whether an array of `shape` fits."""
        if self.shape is None:
            return True
        return len(shape) == len(self.shape) and all(
            want is None or want == size for want, size in zip(self.shape, shape, strict=True)
        )

    def __str__(self) -> str:
        sizes = "[?]" if self.shape is None else f"[{', '.join('?' if d is None else str(d) for d in self.shape)}]"
        return f"{self.dtype} {sizes}"


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
    try:
        return np.asarray(tf.io.parse_tensor(proto.SerializeToString(), tf.as_dtype(proto.dtype)).numpy())
    except tf.errors.InvalidArgumentError as error:
        raise ValueError(f"its values do not fill shape {list(shape)}") from error


def fill_proto(proto: tensor_pb2.TensorProto, array: np.ndarray) -> None:
    """Write an array into an empty TensorProto: numbers as raw bytes, strings (`str` or `bytes`) as UTF-8.

    Raises:
        TypeError: TensorFlow has no such type, or an object array holds something other than strings.
    """
    for size in array.shape:
        proto.tensor_shape.dim.add(size=size)
    proto.tensor_shape.SetInParent()
    if array.dtype.kind in "OUST":
        proto.dtype = tf.string.as_datatype_enum
        proto.string_val.extend([_as_bytes(value) for value in array.ravel().tolist()])
    else:
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        proto.dtype = _data_type(little_endian.dtype)
        proto.tensor_content = little_endian.tobytes()


def _as_bytes(value: Any) -> bytes:
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    raise TypeError(f"a string tensor takes `str` or `bytes`. Received: {value!r} of type {type(value).__name__}")


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
