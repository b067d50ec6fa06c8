"""Rows of tables that have one more row, for what is unknown."""

from __future__ import annotations

from unified_ranker.towers.tensorflow import tf


def known_rows(table: tf.Tensor, indices: tf.Tensor) -> tf.Tensor:
    """Return the rows of `indices` in a table whose last row stands for what is unknown (-1), in their shape."""
    return tf.where(indices < 0, tf.shape(table, tf.int64)[0] - 1, indices)
