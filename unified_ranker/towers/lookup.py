"""Look-up tables of names, such as tasks and event types, and their vectors."""

import atexit
import functools
import shutil
import tempfile
import uuid
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from unified_ranker.towers.tensorflow import tf

_LARGE = 10_000
"""Number of keys from which a table is stored in a file."""


def string_table(keys: Sequence[str] | np.ndarray, first: int, default: int) -> tf.lookup.StaticHashTable:
    """Number distinct `keys` `[n]` from `first` on, in their order; other strings have the number `default`."""
    # A table of TensorFlow has at least one entry: without keys it has "", with the number of other strings.
    names = tf.constant(list(keys) or [""], tf.string)
    numbers = tf.range(first, first + len(keys), dtype=tf.int64) if len(keys) else tf.constant([default], tf.int64)
    return tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(names, numbers), default)


def large_string_table(keys: np.ndarray) -> tf.lookup.StaticHashTable:
    """Number distinct `keys` `[n]` from 0 on, as `string_table` does with `default` -1, for tables of many keys.

    The keys go into a file beside the graph (an asset of the SavedModel), because a serving process holds several
    copies of a graph's constants.
    """
    # A line of the file is a key; keys that no line can hold stay constants.
    if len(keys) < _LARGE or any("\n" in key or "\r" in key or not key for key in keys):
        return string_table(keys, first=0, default=-1)
    # TensorFlow reads the file when it makes the table and when it saves the model; it is deleted at exit.
    file = Path(_asset_folder(), f"{uuid.uuid4().hex}.txt")
    file.write_text("\n".join(keys) + "\n", encoding="utf-8")
    whole, number = tf.lookup.TextFileIndex.WHOLE_LINE, tf.lookup.TextFileIndex.LINE_NUMBER
    initializer = tf.lookup.TextFileInitializer(str(file), tf.string, whole, tf.int64, number, vocab_size=len(keys))
    return tf.lookup.StaticHashTable(initializer, -1)


@functools.cache
def _asset_folder() -> str:
    folder = tempfile.mkdtemp(prefix="unified-ranker-assets-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


class VectorRows(tf.keras.layers.Layer):
    """Trained vectors `[rows, dim]` by index; index 0 is zero, so that it adds nothing to a sum."""

    def __init__(self, rows: int, dim: int, name: str) -> None:
        """Build `rows` rows besides that of index 0."""
        super().__init__(name=name)
        self.table = self.add_weight(
            "table", (rows + 1, dim), initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        )

    def embed(self, indices: tf.Tensor) -> tf.Tensor:
        """Return vectors `[..., dim]` of `indices`."""
        return tf.gather(self.table, indices) * tf.cast(indices > 0, tf.float32)[..., None]


class NameTable(VectorRows):
    """Trained vectors of a fixed list of names; index 0 is the unknown or absent name (a zero vector)."""

    def __init__(self, names: list[str], dim: int, name: str) -> None:
        """Build for `names` in their order; the first has index 1."""
        super().__init__(len(names), dim, name)
        self.lookup = string_table(names, first=1, default=0)

    def index(self, names: tf.Tensor) -> tf.Tensor:
        """Return indices of strings, in their shape."""
        return self.lookup.lookup(names)
