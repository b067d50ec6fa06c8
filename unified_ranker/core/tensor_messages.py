"""Arrays in TensorFlow's message TensorProto: the part that client and model server share.

The functions take any class of the message: the generated one, or the client's own, which needs no TensorFlow. For the
same reason the caller gives the numbers of TensorFlow's types.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Self

import numpy as np

STRING = np.dtype(object)
"""Type of string arrays: objects of type `bytes`, as TensorFlow gives them: NumPy's `S` type drops trailing NULs."""
STRING_NUMBER = 7
"""Number of TensorFlow's type of strings."""


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of one input or output of a signature.

    Attributes:
        dtype: TensorFlow's name of the type, such as `float32` or `string`.
        shape: size of each dimension, None for any size; None instead of a tuple: any rank.
    """

    dtype: str
    shape: tuple[int | None, ...] | None

    @classmethod
    def of(cls, info: Any, name_of: Callable[[int], str]) -> Self:
        """Read the entry of a SignatureDef; `name_of` gives the name of a type by its number."""
        shape = info.tensor_shape
        sizes = None if shape.unknown_rank else tuple(d.size if d.size >= 0 else None for d in shape.dim)
        return cls(name_of(info.dtype), sizes)

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


def fill_tensor(tensor: Any, array: np.ndarray, number_of: Callable[[np.dtype[Any]], int]) -> None:
    """Write an array into an empty TensorProto: numbers as raw bytes, strings (`str` or `bytes`) as UTF-8.

    Args:
        tensor: the message.
        array: of any shape.
        number_of: gives the number of the type of an array of numbers; raises TypeError where it has none.

    Raises:
        TypeError: TensorFlow has no such type, or an object array holds other values than strings.
    """
    for size in array.shape:
        tensor.tensor_shape.dim.add(size=size)
    tensor.tensor_shape.SetInParent()
    if array.dtype.kind in "OUST":
        tensor.dtype = STRING_NUMBER
        tensor.string_val.extend([as_bytes(value) for value in array.ravel().tolist()])
    else:
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        tensor.dtype = number_of(little_endian.dtype)
        tensor.tensor_content = little_endian.tobytes()


def as_bytes(value: Any) -> bytes:
    """Return a string of a tensor as bytes.

    Raises:
        TypeError: it is no string.
    """
    if isinstance(value, bytes):
        return value
    if isinstance(value, str):
        return value.encode("utf-8")
    raise TypeError(f"a string tensor takes `str` or `bytes`. Received: {value!r} of type {type(value).__name__}")
