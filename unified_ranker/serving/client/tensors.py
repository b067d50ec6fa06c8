"""Conversion between NumPy arrays and TF Serving's tensors, without TensorFlow and without loops over numbers."""

import functools
import math
from typing import Any

import numpy as np

from unified_ranker.core.tensor_messages import STRING_NUMBER, TensorSpec, fill_tensor

_NUMBERS = {
    "float32": 1, "float64": 2, "int32": 3, "uint8": 4, "int16": 5, "int8": 6, "string": STRING_NUMBER, "int64": 9,
    "bool": 10, "uint16": 17, "float16": 19, "uint32": 22, "uint64": 23,
}  # fmt: skip
"""TensorFlow's DataType numbers (tensorflow/core/framework/types.proto) by their names, which are NumPy's."""
_NAMES = {number: name for name, number in _NUMBERS.items()}
_VALUE_FIELDS = {
    "float32": "float_val", "float64": "double_val", "int64": "int64_val", "bool": "bool_val", "uint32": "uint32_val",
    "uint64": "uint64_val", "float16": "half_val",
}  # fmt: skip


def read_spec(info: Any) -> TensorSpec:
    """Read the entry of a SignatureDef; a type without an array form has a name such as "type 14"."""
    return TensorSpec.of(info, lambda number: _NAMES.get(number, f"type {number}"))


def write_tensor(tensor: Any, array: np.ndarray) -> None:
    """Write an array into an empty `wire.Tensor`; see `fill_tensor`."""
    fill_tensor(tensor, array, number_of)


def read_tensor(tensor: Any) -> np.ndarray:
    """Return a `wire.Tensor` as an array that the caller may change; strings as an object array of `bytes`.

    Raises:
        ValueError: its type has no array form, or its values do not fill its shape.
    """
    shape = tuple(dim.size for dim in tensor.tensor_shape.dim)
    if tensor.dtype == STRING_NUMBER:
        return _shaped(np.array([*tensor.string_val, None], object)[:-1], shape)
    dtype = dtype_of(tensor.dtype)
    name = dtype.name
    if tensor.tensor_content:
        return _shaped(np.frombuffer(tensor.tensor_content, dtype.newbyteorder("<")).astype(dtype), shape)
    values = getattr(tensor, _VALUE_FIELDS.get(name, "int_val"))
    if name == "float16":
        return _shaped(np.array(values, np.uint16).view(np.float16), shape)
    return _shaped(np.array(values, dtype), shape)


def _shaped(values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    size = math.prod(shape)
    if len(values) == 1 and size > 1:
        values = np.repeat(values, size)  # one value stands for all
    if len(values) != size:
        raise ValueError(f"{len(values)} values do not fill shape {list(shape)}")
    return values.reshape(shape)


@functools.cache
def dtype_of(number: int) -> np.dtype[Any]:
    """Return NumPy's type for the number of one of TensorFlow's types of numbers.

    Raises:
        ValueError: it has no array form.
    """
    if number not in _NAMES or number == STRING_NUMBER:
        raise ValueError(f"data type {number} has no array form")
    return np.dtype(_NAMES[number])


@functools.cache
def number_of(dtype: np.dtype[Any]) -> int:
    """Return the number of TensorFlow's type for an array of numbers.

    Raises:
        TypeError: there is none.
    """
    if dtype.name not in _NUMBERS or dtype.name == "string":
        raise TypeError(f"TensorFlow has no type for arrays of `{dtype}`")
    return _NUMBERS[dtype.name]
