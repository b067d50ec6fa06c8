"""Vectors of the items that a batch needs, by their indices."""

from __future__ import annotations

from dataclasses import dataclass

from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True)
class ItemVectors:
    """The items that a batch needs.

    Attributes:
        ids: their indices `[n]`, ascending, or None for the whole catalogue.
        vectors: `[n, dim]`.
        created: creation times in seconds `[n]`; the least int64 where absent.
        included: probability of each item to be in a batch, `[n]`; None for the whole catalogue.
    """

    ids: tf.Tensor | None
    vectors: tf.Tensor
    created: tf.Tensor
    included: tf.Tensor | None = None

    def rows_of(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the rows of item `indices` (any shape); -1 stays -1."""
        if self.ids is None:
            return indices
        rows = tf.reshape(tf.searchsorted(self.ids, tf.reshape(indices, [-1]), out_type=tf.int64), tf.shape(indices))
        return tf.where(indices < 0, indices, rows)

    def created_at(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the creation times of item `indices` (any shape); undefined for -1."""
        return tf.gather(self.created, tf.maximum(self.rows_of(indices), 0))

    def at(self, indices: tf.Tensor) -> tf.Tensor:
        """Return the vectors `[..., dim]` of item `indices`; zero for -1."""
        present = tf.cast(indices >= 0, tf.float32)[..., None]
        return tf.gather(self.vectors, tf.maximum(self.rows_of(indices), 0)) * present
