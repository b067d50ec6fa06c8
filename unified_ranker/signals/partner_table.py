"""Tables of items' strongest partners in the graph, and sums over the partners of several items."""

from __future__ import annotations

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.tensorflow import tf

_TABULATED = 1 << 17
"""Largest catalogue of which each request gets a table of places: half a megabyte, filled in 20 μs."""


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


class CandidatePlaces:
    """Places of items among the candidates of their request.

    Of a catalogue that is small enough, by a table of the places of all items, which is filled anew for each request;
    else by a binary search in the sorted candidates, which takes six times as long for ten thousand partners. A
    comparison of all with all would cost as many times more as there are candidates.
    """

    def __init__(self, candidates: tf.Tensor, items: int) -> None:
        """Index `candidates` `[batch, n]`, item indices of a catalogue of `items`; -1 is an unknown item."""
        # One behind, so that none is empty, which a binary search refuses.
        padded = tf.pad(candidates, [[0, 0], [0, 1]], constant_values=MISSING)
        self.candidates = tf.cast(padded, tf.int32)
        self._batch, self.count = tf.shape(padded)[0], tf.shape(padded)[1]
        self._own = tf.range(self._batch)[:, None] * self.count
        self._width = items + 1 if items <= _TABULATED else 0
        if self._width:
            self._rows = tf.range(self._batch)[:, None] * self._width
            cells = tf.where(self.candidates < 0, items, self.candidates) + self._rows
            place = tf.tile(tf.range(self.count)[None], [self._batch, 1]) + self._own
            table = tf.fill([self._batch * self._width], MISSING)
            self._table = tf.tensor_scatter_nd_update(table, tf.reshape(cells, [-1, 1]), tf.reshape(place, [-1]))
        else:
            self._ordered = tf.sort(self.candidates, axis=1)

    def of(self, items: tf.Tensor) -> tf.Tensor:
        """Return the place of each of `items` `[batch, m]` (int32) among the padded candidates of all requests.

        It is -1 where the item is -1 or no candidate. Equal candidates have one place.
        """
        if self._width:
            found = tf.gather(self._table, tf.maximum(items, 0) + self._rows)
            return tf.where(items >= 0, found, MISSING)
        # One more, because a binary search refuses to look for none.
        place = tf.searchsorted(self._ordered, tf.pad(items, [[0, 0], [0, 1]]))[:, :-1]
        place = tf.minimum(place, self.count - 1) + self._own
        same = tf.gather(tf.reshape(self._ordered, [-1]), place) == items
        return tf.where(same & (items >= 0), place, MISSING)

    def back(self, sums: tf.Tensor) -> tf.Tensor:
        """Return the sums of candidates `[batch, n, k]` from sums by place `[places, k]`; unknown ones have 0."""
        place = self.of(self.candidates)[:, :-1]
        return tf.where((place >= 0)[..., None], tf.gather(sums, tf.maximum(place, 0)), 0.0)


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
    places = CandidatePlaces(candidates, items)
    # A segment of -1 is left out.
    place = tf.reshape(places.of(tf.cast(partners, tf.int32)), [-1])
    total = tf.size(places.candidates)
    return places.back(tf.math.unsorted_segment_sum(tf.reshape(values, [-1, values.shape[-1]]), place, total))


def weighted_sums(
    candidates: tf.Tensor, partners: tf.Tensor, values: tf.Tensor, weights: tf.Tensor, items: int
) -> tf.Tensor:
    """Return for each of `candidates` `[batch, n]` the sum over origins of the pair's value times the origin's weights.

    As `sums_of` of the products, which are not formed: they would be `k` times as many as the pairs, of which most have
    no candidate.

    Args:
        candidates: item indices; an unknown one, -1, has the sum 0.
        partners: of each origin, item indices `[batch, origins, m]`; -1 is none.
        values: of each pair, `[batch, origins, m]`.
        weights: of each origin, `[batch, origins, k]`.
        items: number of items in the catalogue.

    Returns:
        `[batch, n, k]`.
    """
    places = CandidatePlaces(candidates, items)
    shape, width = tf.shape(partners), weights.shape[-1]
    flat = tf.cast(tf.reshape(partners, [shape[0], shape[1] * shape[2]]), tf.int32)
    place = tf.reshape(places.of(flat), [-1])
    found = tf.where(place >= 0)[:, 0]
    pairs = tf.SparseTensor(
        tf.stack([tf.cast(tf.gather(place, found), tf.int64), found // tf.cast(tf.maximum(shape[2], 1), tf.int64)], 1),
        tf.gather(tf.reshape(values, [-1]), found),
        tf.cast(tf.stack([tf.size(places.candidates), shape[0] * shape[1]]), tf.int64),
    )
    return places.back(tf.sparse.sparse_dense_matmul(pairs, tf.reshape(weights, [-1, width])))


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
