"""One embedding table for countries and every other category, shared by the towers."""

from unified_ranker.towers.lookup import string_table
from unified_ranker.towers.tensorflow import tf


class CategoryTable(tf.keras.layers.Layer):
    """Embeds values named "column=value"; a value outside the vocabulary, or none, is index 0.

    Sharing the rows of `country` between user, context and item features follows Etsy's unified embedding
    (arXiv 2306.04833, section 3), where the location encoder is shared by both towers.
    """

    def __init__(self, values: list[str], dim: int) -> None:
        """Build rows for `values` and one for the unknown."""
        super().__init__(name="categories")
        self.lookup = string_table(values, first=1, default=0)
        self.table = self.add_weight(
            "table", (len(values) + 1, dim), initializer=tf.keras.initializers.RandomNormal(stddev=dim**-0.5)
        )

    def index(self, column: str, values: tf.Tensor) -> tf.Tensor:
        """Return indices of string `values` of `column`, in their shape; "" is none."""
        indices = self.lookup.lookup(tf.strings.join([column + "=", values]))
        return tf.where(values == "", tf.zeros_like(indices), indices)

    def embed(self, indices: tf.Tensor) -> tf.Tensor:
        """Return vectors `[..., dim]` for `indices`; the unknown is zero, so that it adds nothing to a sum."""
        return tf.gather(self.table, indices) * tf.cast(indices > 0, tf.float32)[..., None]

    def mean(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the mean vector `[n, dim]` of the known ones among `indices` `[n, width]`; zero without any."""
        known = tf.reduce_sum(tf.cast(indices > 0, tf.float32), 1, keepdims=True)
        return tf.reduce_sum(self.embed(indices), 1) / tf.maximum(known, 1.0)
