"""A function that is traced once for every number of rows."""

from collections.abc import Callable, Collection
from typing import Any

from unified_ranker.towers.tensorflow import tf


class TracedOnce:
    """Traces `call` at the first call; tensors of later ones may differ in every dimension but a vector's width.

    `tf.function` alone traces again for each dimension that turns out to vary, and a trace of the ranking head takes as
    long as ranking a thousand requests.
    """

    def __init__(self, call: Callable[..., Any], no_vectors: Collection[str] = ()) -> None:
        """Keep `call`, of tensors and dictionaries of them.

        `no_vectors` names the floats in dictionaries whose last dimension is no vector's, and varies, too.
        """
        self._call, self._no_vectors = call, no_vectors
        self._traced: Callable[..., Any] | None = None

    def __call__(self, *arguments: Any) -> Any:
        """Run it in graph mode."""
        if self._traced is None:
            signature = [self._any_size(argument) for argument in arguments]
            self._traced = tf.function(self._call, input_signature=signature, autograph=False)
        return self._traced(*arguments)

    def _any_size(self, argument: Any, name: str = "") -> Any:
        """Leave every dimension open but the last of vectors: dense layers are built for it."""
        if isinstance(argument, dict):
            return {key: self._any_size(value, key) for key, value in argument.items()}
        shape: list[int | None] = [None] * argument.shape.rank
        if shape and argument.dtype.is_floating and name not in self._no_vectors:
            shape[-1] = argument.shape[-1]
        return tf.TensorSpec(shape, argument.dtype)
