"""Proposals of several sources as one list of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.tensorflow import tf


def merged(parts: Sequence[tf.Tensor], most: tf.Tensor) -> tf.Tensor:
    """Return the proposals of several sources, each item once: all first ones, then all second ones, and so on.

    Args:
        parts: item indices, the best first, `[batch, n]` each with an `n` of its own; -1 is none.
        most: largest number of items of each request, `[batch]`.

    Returns:
        `[batch, n]`, as wide as all parts together; -1 after the items of a request.
    """
    width = max((part.shape[1] for part in parts), default=0)
    if not width:
        return tf.zeros([tf.shape(most)[0], 0], tf.int64)
    padded = [tf.pad(part, [[0, 0], [0, width - part.shape[1]]], constant_values=MISSING) for part in parts]
    turns = tf.reshape(tf.stack(padded, 2), [-1, width * len(parts)])
    # The first place of a repeated item counts: a stable sort keeps it first.
    order = tf.argsort(turns, axis=1, stable=True)
    ordered = tf.gather(turns, order, batch_dims=1)
    again = tf.pad(ordered[:, 1:] == ordered[:, :-1], [[0, 0], [1, 0]])
    first = ~tf.gather(again, tf.argsort(order, axis=1), batch_dims=1) & (turns >= 0)
    place = tf.argsort(tf.cast(~first, tf.int32), axis=1, stable=True)
    count = tf.minimum(tf.reduce_sum(tf.cast(first, tf.int32), 1), tf.cast(most, tf.int32))
    kept = tf.range(width * len(parts))[None] < count[:, None]
    return tf.where(kept, tf.gather(turns, place, batch_dims=1), tf.constant(MISSING, tf.int64))
