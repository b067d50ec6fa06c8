"""Proposals of several sources as one list of candidates."""

from __future__ import annotations

from collections.abc import Sequence

from unified_ranker.core.arrays import MISSING
from unified_ranker.signals.first_occurrences import FirstOccurrences
from unified_ranker.towers.tensorflow import tf


def merged(parts: Sequence[tf.Tensor], most: tf.Tensor, items: int) -> tf.Tensor:
    """Return the proposals of several sources, each item once: all first ones, then all second ones, and so on.

    Args:
        parts: item indices, the best first, `[batch, n]` each with an `n` of its own; -1 is none.
        most: largest number of items of each request, `[batch]`.
        items: number of items in the catalogue; higher numbers than its indices stand for items that came later.

    Returns:
        `[batch, n]`, as wide as all parts together; -1 after the items of a request.
    """
    width = max((part.shape[1] for part in parts), default=0)
    if not width:
        return tf.zeros([tf.shape(most)[0], 0], tf.int64)
    padded = [tf.pad(part, [[0, 0], [0, width - part.shape[1]]], constant_values=MISSING) for part in parts]
    turns = tf.reshape(tf.stack(padded, 2), [-1, width * len(parts)])
    first = FirstOccurrences(turns, items, late=True).is_first()
    # Counted, and not sorted, to move them to the front.
    rank = tf.cumsum(tf.cast(first, tf.int32), axis=1) - 1
    kept = first & (rank < tf.cast(most, tf.int32)[:, None])
    batch, all_turns = tf.shape(turns)[0], width * len(parts)
    cells = tf.boolean_mask(rank + tf.range(batch)[:, None] * all_turns, kept)
    blank = tf.fill([batch * all_turns], tf.constant(MISSING, tf.int64))
    found = tf.tensor_scatter_nd_update(blank, cells[:, None], tf.boolean_mask(turns, kept))
    return tf.reshape(found, [batch, all_turns])
