"""Names, such as tasks and event types, and their vectors."""

from unified_ranker.tensorflow import tf


class Names(tf.keras.layers.Layer):
    """A fixed list of names with one trained vector each; index 0 is the unknown or absent name (a zero vector)."""

    def __init__(self, names: list[str], dim: int, name: str) -> None:
        """Build for `names` in their order: the first has index 1."""
        super().__init__(name=name)
        keys = tf.constant(names or [""], tf.string)
        values = tf.range(1, len(names or [""]) + 1, dtype=tf.int64)
        self.lookup = tf.lookup.StaticHashTable(tf.lookup.KeyValueTensorInitializer(keys, values), 0)
        self.table = self.add_weight(
            "table", (len(names or [""]) + 1, dim), initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        )

    def index(self, names: tf.Tensor) -> tf.Tensor:
        """Return indices of strings, in their shape."""
        return self.lookup.lookup(names)

    def embed(self, indices: tf.Tensor) -> tf.Tensor:
        """Return vectors `[..., dim]`."""
        return tf.gather(self.table, indices) * tf.cast(indices > 0, tf.float32)[..., None]
