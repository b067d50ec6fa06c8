"""One embedding table for countries and every other category, shared by the towers."""

from unified_ranker.towers.lookup import VectorRows, string_table
from unified_ranker.towers.tensorflow import tf


class CategoryTable(VectorRows):
    """Embedding of values named "column=value"; a value that is absent or outside the vocabulary is index 0.

    Sharing the rows of `country` between user, context and item features follows Etsy's unified embedding
    (arXiv 2306.04833, section 3), where the location encoder is shared by both towers.
    """

    def __init__(self, values: list[str], dim: int) -> None:
        """Build a row for each of `values`, and row 0 for unknown values."""
        super().__init__(len(values), dim, "categories")
        self.lookup = string_table(values, first=1, default=0)

    def index(self, column: str, values: tf.Tensor) -> tf.Tensor:
        """Return indices of string `values` of `column`, in their shape; "" is absent."""
        indices = self.lookup.lookup(tf.strings.join([column + "=", values]))
        return tf.where(values == "", tf.zeros_like(indices), indices)

    def mean(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the mean vector `[n, dim]` of the indices above 0 in `indices` `[n, width]`; zero if there is none."""
        known = tf.reduce_sum(tf.cast(indices > 0, tf.float32), 1, keepdims=True)
        return tf.reduce_sum(self.embed(indices), 1) / tf.maximum(known, 1.0)
