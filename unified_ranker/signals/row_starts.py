"""Row starts of ragged tables, which keep the values of all rows one behind the other."""

from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import Ints


def row_starts(counts: Ints | Sequence[int]) -> Ints:
    """Return where the rows of a table begin, and where the last ends, `[rows + 2]`, from their lengths `[rows]`.

    An empty row comes last: index -1 selects it, which stands for an absent item or word.
    """
    ends = np.cumsum(np.asarray(counts, np.int64))
    return np.concatenate([[0], ends, ends[-1:] if len(ends) else [0]]).astype(np.int64)
