"""Positions at which items come first in the rows of a matrix of item indices."""

from __future__ import annotations

from unified_ranker.core.arrays import MISSING
from unified_ranker.towers.tensorflow import tf

TABULATED = 1 << 17
"""Largest catalogue of which each row gets a table of positions: half a megabyte, filled in 20 μs."""


class FirstOccurrences:
    """First occurrence of each item in its row: the one idea by which an item counts once.

    Up to `TABULATED` items its position is read from a table of all items, which is filled for each row; beyond, it is
    found by binary search in the sorted row, which takes six times as long for ten thousand items. To compare all with
    all would cost more by the width of the row.

    Attributes:
        count: number of positions of all rows together.
    """

    def __init__(self, rows: tf.Tensor, items: int, late: bool = False) -> None:
        """Index items.

        Args:
            rows: item indices `[batch, n]`; -1 is no item.
            items: number of items in the catalogue.
            late: whether numbers from `items` on may be in `rows`, which stand for items that came later. Only
                `is_first` and `once` know of them.
        """
        # One position behind, because a binary search refuses empty rows.
        self._rows = tf.pad(tf.cast(rows, tf.int32), [[0, 0], [0, 1]], constant_values=MISSING)
        batch, width = tf.shape(self._rows)[0], tf.shape(self._rows)[1]
        self._width, self.count = width, batch * width
        self._begin = tf.range(batch)[:, None] * width
        self._cells = None
        if items <= TABULATED:
            known = items
            if late:
                self._rows, known = _renumbered(self._rows, items)
            # The first cell of a row, that of -1, stays empty, so that a look-up needs no condition. Unknown items of
            # the row share the cell behind the others.
            self._cells = tf.range(batch)[:, None] * (known + 2) + 1
            cells = tf.where(self._rows < 0, known, self._rows) + self._cells
            # Takes a third of the time of `tf.tensor_scatter_nd_min`.
            table = tf.math.unsorted_segment_min(tf.range(self.count), tf.reshape(cells, [-1]), batch * (known + 2))
            self._table = tf.where(table < tf.int32.max, table, MISSING)
        else:
            # Stable, so that the first of equal items stays the first.
            self._order = tf.argsort(self._rows, axis=1, stable=True)
            self._sorted = tf.gather(self._rows, self._order, batch_dims=1)

    def of(self, items: tf.Tensor) -> tf.Tensor:
        """Return the first position of `items` `[batch, m]`, int32, in their rows; -1 for -1 and for absent items.

        Positions are numbered from 0 through all rows, each with the one behind: `of` serves as segment numbers, which
        `tf.math.unsorted_segment_sum` leaves out where they are negative.
        """
        items = tf.cast(items, tf.int32)
        if self._cells is not None:
            return tf.gather(self._table, items + self._cells)
        # Padded for the same reason as the rows.
        at = tf.searchsorted(self._sorted, tf.pad(items, [[0, 0], [0, 1]]))[:, :-1]
        at = tf.minimum(at, self._width - 1) + self._begin
        same = (tf.gather(tf.reshape(self._sorted, [-1]), at) == items) & (items >= 0)
        return tf.where(same, tf.gather(tf.reshape(self._order, [-1]), at) + self._begin, MISSING)

    def is_first(self) -> tf.Tensor:
        """Mark the first of equal items of each row, `[batch, n]`; -1 is never marked."""
        own = tf.reshape(tf.range(self.count), tf.shape(self._rows))
        return (self.of(self._rows) == own)[:, :-1]

    def sums(self, by_position: tf.Tensor) -> tf.Tensor:
        """Return sums by position `[count, k]` at every position with the item, `[batch, n, k]`; 0 at -1."""
        position = self.of(self._rows)[:, :-1]
        # The position behind a row is that of no item, so its sum is 0.
        return tf.gather(by_position, tf.where(position >= 0, position, self._begin + self._width - 1))


def once(rows: tf.Tensor, items: int) -> tf.Tensor:
    """Return `rows` `[batch, n]` of item indices with -1 in place of all but the first of equal ones."""
    return tf.where(FirstOccurrences(rows, items).is_first(), rows, tf.constant(MISSING, rows.dtype))


def once_of_few(rows: tf.Tensor) -> tf.Tensor:
    """Return `rows` `[batch, n]` with -1 in place of all but the first of equal numbers, which may be any.

    All are compared with all: for some tens of columns that takes less time than a table of a catalogue.
    """
    position = tf.range(tf.shape(rows)[1])
    again = (rows[:, :, None] == rows[:, None, :]) & (position[:, None] > position[None])
    return tf.where(tf.reduce_any(again, 2), tf.constant(MISSING, rows.dtype), rows)


def _renumbered(rows: tf.Tensor, items: int) -> tuple[tf.Tensor, tf.Tensor]:
    """Number those from `items` on one by one, so that a table has room for them; return the rows and the table's size.

    Their own numbers have no bound.
    """
    late = rows >= items
    different, number = tf.unique(tf.boolean_mask(rows, late))
    return tf.tensor_scatter_nd_update(rows, tf.where(late), items + number), items + tf.size(different)
