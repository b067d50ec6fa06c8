"""Names, such as tasks and event types, and their vectors."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.tensorflow import tf


def string_table(keys: Sequence[str] | np.ndarray, first: int, default: int) -> tf.lookup.StaticHashTable:
    """Number distinct `keys` `[n]` from `first` on, in their order; anything else has the number `default`."""
    # A table of TensorFlow has at least one entry; the one that stands in for none answers like any other text.
    names = tf.constant(list(keys) or [""], tf.string)
    numbers = tf.range(first, first + len(keys), dtype=tf.int64) if len(keys) else tf.constant([default], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, numbers), default)


class Names(tf.keras.layers.Layer):
    """A fixed list of names with one trained vector each; index 0 is the unknown or absent name (a zero vector)."""

    def __init__(self, names: list[str], dim: int, name: str) -> None:
        """Build for `names` in their order: the first has index 1."""
        super().__init__(name=name)
        self.lookup = string_table(names, first=1, default=0)
        self.table = self.add_weight(
            "table", (len(names) + 1, dim), initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        )

    def index(self, names: tf.Tensor) -> tf.Tensor:
        """Return indices of strings, in their shape."""
        return self.lookup.lookup(names)

    def embed(self, indices: tf.Tensor) -> tf.Tensor:
        """Return vectors `[..., dim]`."""
        return tf.gather(self.table, indices) * tf.cast(indices > 0, tf.float32)[..., None]
