"""Tables of items' strongest partners in the graph, and sums over the partners of several items."""

from __future__ import annotations

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.signals.first_occurrences import FirstOccurrences
from unified_ranker.towers.tensorflow import tf

PADDED = 1 << 22
"""Largest number of pairs, with padding, of a table whose rows all have the same length: 16 MB, and as much a value."""


class PartnerTable:
    """Partners of each item, row after row, with the values of each pair.

    A small table has rows of one length, padded with -1, because whole rows are read in a quarter of the time of single
    pairs. In a large one most rows would be padding.

    Attributes:
        widest: largest number of partners of an item; at least 1.
        variables: tables of the graph.
    """

    def __init__(self, starts: np.ndarray, partners: np.ndarray, values: np.ndarray, padded: int = PADDED) -> None:
        """Keep a table.

        Args:
            starts: where each item's partners begin, `[items + 2]`; the last row, of no item, is empty.
            partners: item indices `[pairs]`, the strongest of an item first.
            values: values of each pair, `[pairs, n]`.
            padded: largest number of pairs of a padded table.
        """
        length = np.diff(starts)
        self.widest, self.items = max(int(length.max()), 1), len(starts) - 2
        self._starts = None
        if len(length) * self.widest <= padded:
            row = np.repeat(np.arange(len(length)), length)
            slot = row * self.widest + np.arange(len(row)) - starts[row]
            count = len(length) * self.widest
        else:
            self._starts = tf.Variable(starts.astype(np.int64), trainable=False, name="starts")
            # A last pair of no item, which is read where there is none.
            slot, count = np.arange(len(partners)), len(partners) + 1
        ids, numbers = np.full(count, MISSING, np.int32), np.zeros((count, values.shape[1]), np.float32)
        ids[slot], numbers[slot] = partners, values
        shape = [count] if self._starts is not None else [len(length), self.widest]
        self._partners = tf.Variable(ids.reshape(shape), trainable=False, name="partners")
        self._values = tf.Variable(numbers.reshape([*shape, values.shape[1]]), trainable=False, name="counts")
        tables = [self._partners, self._values]
        self.variables = tables if self._starts is None else [self._starts, *tables]

    def rows(self, origins: tf.Tensor) -> tf.Tensor:
        """Return the table's rows of item indices; the last, empty one for -1."""
        return tf.where(origins < 0, tf.constant(self.items, origins.dtype), origins)

    def of(self, origins: tf.Tensor, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first partners of `origins` `[batch, origins, n]`, and their values `[..., n, values]`.

        `n` is at most `most`, and at least the length of the batch's longest row up to there; a partner is -1 where an
        item has fewer.
        """
        if self._starts is not None:
            pair, partners = self._pairs(self._starts, origins, most)
            return partners, tf.gather(self._values, pair)
        partners, values = (tf.gather(table, self.rows(origins)) for table in (self._partners, self._values))
        return (partners, values) if most >= self.widest else (partners[..., :most], values[..., :most, :])

    def weighted_sums(self, candidates: tf.Tensor, origins: tf.Tensor, weights: tf.Tensor) -> tf.Tensor:
        """Return the sums over origins of a candidate's value as their partner, times the weights of the origin.

        The products are not formed: there are `k` times as many as pairs, of which most have no candidate.

        Args:
            candidates: item indices `[batch, n]`; an unknown one, -1, has the sum 0.
            origins: item indices `[batch, origins]`; -1 is none.
            weights: of each origin, `[batch, origins, k]`.

        Returns:
            `[batch, n, k]`, from the first of the table's values.
        """
        pairs = None
        if self._starts is not None:
            pairs, partners = self._pairs(self._starts, origins, self.widest)
        else:
            partners = tf.gather(self._partners, self.rows(origins))
        first = FirstOccurrences(candidates, self.items)
        shape = tf.shape(partners)
        position = tf.reshape(first.of(tf.reshape(partners, [shape[0], shape[1] * shape[2]])), [-1])
        found = tf.where(position >= 0)[:, 0]
        width = tf.cast(tf.maximum(shape[2], 1), tf.int64)
        origin = found // width
        if pairs is None:
            pair = tf.stack([tf.gather(tf.reshape(self.rows(origins), [-1]), origin), found % width], 1)
        else:
            pair = tf.gather(tf.reshape(pairs, [-1]), found)[:, None]
        matrix = tf.SparseTensor(
            tf.stack([tf.cast(tf.gather(position, found), tf.int64), origin], 1),
            # Not of the reshaped table: a variable that a gather has read directly is copied by every other read.
            tf.gather_nd(self._values, pair)[:, 0],
            tf.cast(tf.stack([first.count, shape[0] * shape[1]]), tf.int64),
        )
        flat = tf.reshape(weights, [-1, weights.shape[-1]])
        return first.sums(tf.sparse.sparse_dense_matmul(matrix, flat))

    def _pairs(self, starts: tf.Variable, origins: tf.Tensor, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the places of the first pairs of origins in a table without padding, and their partners."""
        rows = self.rows(origins)
        begin = tf.gather(starts, rows)
        length = tf.minimum(tf.gather(starts, rows + 1) - begin, most)
        column = tf.range(tf.reduce_max(tf.concat([tf.reshape(length, [-1]), [0]], 0)))
        there = column < length[..., None]
        pair = tf.where(there, begin[..., None] + column, tf.shape(self._partners, tf.int64)[0] - 1)
        return pair, tf.gather(self._partners, pair)


def side_by_side(rows: tf.Tensor) -> tf.Tensor:
    """Return `[batch, n, m]` as `[batch, n * m]`; -1 in a shape would fail where there are none."""
    shape = tf.shape(rows)
    return tf.reshape(rows, [shape[0], shape[1] * shape[2]])


def sums_of(candidates: tf.Tensor, partners: tf.Tensor, values: tf.Tensor, items: int) -> tf.Tensor:
    """Return for each of `candidates` `[batch, n]` the sum of the values of the partners that are this item.

    Args:
        candidates: item indices; an unknown one, -1, has the sum 0.
        partners: item indices `[batch, m]`; -1 is none.
        values: `[batch, m, k]`.
        items: number of items in the catalogue.

    Returns:
        `[batch, n, k]`.
    """
    first = FirstOccurrences(candidates, items)
    flat = tf.reshape(values, [-1, values.shape[-1]])
    return first.sums(tf.math.unsorted_segment_sum(flat, tf.reshape(first.of(partners), [-1]), first.count))


def strongest(partners: tf.Tensor, values: tf.Tensor, items: int, count: int) -> tf.Tensor:
    """Return the items of `highest_sums` alone."""
    return highest_sums(partners, values, items, count)[0]


def highest_sums(partners: tf.Tensor, values: tf.Tensor, items: int, count: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Return the `count` items with the highest positive sums of values, best first, and these sums, `[batch, count]`.

    Behind them stand -1, and 0.

    Args:
        partners: item indices `[batch, m]`; -1 is none.
        values: `[batch, m]`.
        items: number of items in the catalogue.
        count: number of items to return.
    """
    first = FirstOccurrences(partners, items)
    position = first.of(partners)
    totals = tf.math.unsorted_segment_sum(tf.reshape(values, [-1]), tf.reshape(position, [-1]), first.count)
    # Rows have one position more than partners; those of too few items get `count` blanks behind.
    batch, width = tf.shape(partners)[0], tf.shape(partners)[1]
    sums = tf.pad(tf.reshape(totals, [batch, width + 1])[:, :-1], [[0, 0], [0, count]])
    ids = tf.pad(tf.cast(partners, tf.int64), [[0, 0], [0, count]], constant_values=MISSING)
    best, at = tf.math.top_k(sums, count)
    found = tf.where(best > 0, tf.gather(ids, at, batch_dims=1), tf.constant(MISSING, tf.int64))
    return found, tf.maximum(best, 0.0)
