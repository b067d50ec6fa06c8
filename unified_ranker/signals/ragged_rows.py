"""Rows of ragged tables, which keep the values of all rows one behind the other. Pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from unified_ranker.core.arrays import Ints

if TYPE_CHECKING:
    from scipy import sparse


def row_starts(counts: Ints | Sequence[int]) -> Ints:
    """Return where the rows of a table begin, and where the last ends, `[rows + 2]`, from their lengths `[rows]`.

    An empty row comes last: index -1 selects it, which stands for an absent item or word.
    """
    ends = np.cumsum(np.asarray(counts, np.int64))
    return np.concatenate([[0], ends, ends[-1:] if len(ends) else [0]]).astype(np.int64)


def cells(lengths: Ints) -> tuple[Ints, Ints]:
    """Return the row of each value of a table, and its number within the row, from the rows' lengths `[rows]`."""
    rows = np.repeat(np.arange(len(lengths)), lengths)
    return rows, np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)


def strongest_of(pairs: sparse.csr_array, most: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the `most` largest entries of each row of `pairs` `[rows, columns]`, as `PartnerTable` takes them.

    The largest by size, whatever their sign; starts `[rows + 2]`, columns and weights `[pairs]`.
    """
    rows = np.repeat(np.arange(pairs.shape[0]), np.diff(pairs.indptr))
    order = np.lexsort((pairs.indices, -np.abs(pairs.data), rows))
    rank = np.arange(len(rows)) - pairs.indptr[rows]
    kept = order[rank < most]
    counts = np.minimum(np.diff(pairs.indptr), most)
    starts = row_starts(counts)
    return starts, pairs.indices[kept], pairs.data[kept].astype(np.float32)
