"""Tables of items' strongest partners in the graph, and sums over the partners of several items."""

from __future__ import annotations

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.tensorflow import tf


class PartnerTable:
    """Partners of each item, row after row, with the values of each pair.

    Attributes:
        widest: largest number of partners of an item; at least 1.
        variables: tables of the graph.
    """

    def __init__(self, starts: np.ndarray, partners: np.ndarray, values: np.ndarray) -> None:
        """Keep a table.

        Args:
            starts: where each item's partners begin, `[items + 2]`; the last row, of no item, is empty.
            partners: item indices `[pairs]`, the strongest of an item first.
            values: values of each pair, `[pairs, n]`.
        """
        self.widest = max(int(np.diff(starts).max()), 1)
        nothing = np.zeros((1, values.shape[1]), np.float32)
        self.starts = tf.Variable(starts.astype(np.int64), trainable=False, name="starts")
        # A last pair of no item, because an empty table cannot be gathered from.
        self.partners = tf.Variable(np.append(partners, MISSING).astype(np.int32), trainable=False, name="partners")
        values = np.concatenate([values.astype(np.float32), nothing])
        self.values = tf.Variable(values, trainable=False, name="counts")
        self.variables = [self.starts, self.partners, self.values]

    def rows(self, origins: tf.Tensor) -> tf.Tensor:
        """Return the table's rows of item indices; the last, empty one for -1."""
        return tf.where(origins < 0, tf.shape(self.starts, tf.int64)[0] - 2, origins)

    def of(self, origins: tf.Tensor, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first partners of `origins` `[batch, origins, n]`, and their values `[..., n, values]`.

        `n` is the length of the batch's longest row, at most `most`; a partner is -1 where an item has fewer.
        """
        rows = self.rows(origins)
        begin = tf.gather(self.starts, rows)
        length = tf.minimum(tf.gather(self.starts, rows + 1) - begin, most)
        column = tf.range(tf.reduce_max(tf.concat([tf.reshape(length, [-1]), [0]], 0)))
        there = column < length[..., None]
        place = tf.where(there, begin[..., None] + column, tf.shape(self.partners, tf.int64)[0] - 1)
        return tf.gather(self.partners, place), tf.gather(self.values, place)


def sums_of(candidates: tf.Tensor, partners: tf.Tensor, values: tf.Tensor) -> tf.Tensor:
    """Return for each of `candidates` `[batch, n]` the sum of the values of the partners that are this item.

    By binary search in the sorted candidates, because a comparison of all pairs would cost n times as much.

    Args:
        candidates: item indices; an unknown one, -1, has the sum 0.
        partners: item indices `[batch, m]`; -1 is none.
        values: `[batch, m, k]`.

    Returns:
        `[batch, n, k]`.
    """
    # A last one of each, because binary search refuses empty tensors.
    candidates = tf.pad(candidates, [[0, 0], [0, 1]], constant_values=MISSING)
    partners = tf.pad(tf.cast(partners, candidates.dtype), [[0, 0], [0, 1]], constant_values=MISSING)
    values = tf.pad(values, [[0, 0], [0, 1], [0, 0]])
    batch, count = tf.shape(candidates)[0], tf.shape(candidates)[1]
    ordered = tf.sort(candidates, axis=1)
    place = tf.minimum(tf.searchsorted(ordered, partners), count - 1)
    found = (tf.gather(ordered, place, batch_dims=1) == partners) & (partners >= 0)
    # Partners that are no candidates go to a place after them.
    place = tf.where(found, place, count) + tf.range(batch)[:, None] * (count + 1)
    width = values.shape[-1]
    sums = tf.math.unsorted_segment_sum(tf.reshape(values, [-1, width]), tf.reshape(place, [-1]), batch * (count + 1))
    sums = tf.reshape(sums, [batch, count + 1, width])
    own = tf.gather(sums, tf.searchsorted(ordered, candidates), batch_dims=1)
    return tf.where((candidates >= 0)[..., None], own, 0.0)[:, :-1]


def strongest(partners: tf.Tensor, values: tf.Tensor, items: int, count: int) -> tf.Tensor:
    """Return the `count` items with the highest positive sums of values, `[batch, count]`, best first; -1 behind them.

    Args:
        partners: item indices `[batch, m]`; -1 is none.
        values: `[batch, m]`.
        items: number of items in the catalogue.
        count: number of items to return.
    """
    batch = tf.shape(partners, tf.int64)[0]
    blank = tf.constant(items, tf.int64)
    owner = tf.range(batch)[:, None] * (blank + 1)
    keys = owner + tf.where(partners < 0, blank, tf.cast(partners, tf.int64))
    pairs, number = tf.unique(tf.reshape(keys, [-1]), tf.int64)
    totals = tf.math.unsorted_segment_sum(tf.reshape(values, [-1]), number, tf.shape(pairs, tf.int64)[0])
    # `unique` keeps first occurrences in order, and owners ascend: rows stay together.
    found = tf.RaggedTensor.from_value_rowids(pairs % (blank + 1), pairs // (blank + 1), batch)
    totals = tf.where(found.flat_values < blank, totals, 0.0)
    ids, sums = found.to_tensor(MISSING), found.with_flat_values(totals).to_tensor(0.0)
    ids = tf.pad(ids, [[0, 0], [0, count]], constant_values=MISSING)
    sums = tf.pad(sums, [[0, 0], [0, count]])
    best, place = tf.math.top_k(sums, count)
    return tf.where(best > 0, tf.gather(ids, place, batch_dims=1), tf.constant(MISSING, tf.int64))
