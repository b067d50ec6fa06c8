"""A function that is traced once for every number of rows."""

from collections.abc import Callable
from typing import Any

from unified_ranker.tensorflow import tf


class TracedOnce:
    """Traces `call` at the first call; tensors of later ones may differ in every dimension but a vector's width.

    `tf.function` alone traces again for each dimension that turns out to vary, and a trace of the ranking head takes as
    long as ranking a thousand requests.
    """

    def __init__(self, call: Callable[..., Any]) -> None:
        """Keep `call`, of tensors and dictionaries of them."""
        self._call = call
        self._traced: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it in graph mode."""
        if self._traced is None:
            signature = tf.nest.map_structure(_any_size, arguments)
            self._traced = tf.function(self._call, input_signature=signature, autograph=False)
        return self._traced(*arguments)


def _any_size(tensor: tf.Tensor) -> tf.TensorSpec:
    """Leave every dimension open but the last of floats: dense layers are built for it."""
    shape: list[int | None] = [None] * tensor.shape.rank
    if shape and tensor.dtype.is_floating:
        shape[-1] = tensor.shape[-1]
    return tf.TensorSpec(shape, tensor.dtype)
