"""Proposals rule: items that signals propose are ranked before all that retrieval finds, each once, at most N together.

Evaluation and the served graph score the whole catalogue, and choose the N best of `raised` scores. The service has a
list from an index, and takes `proposals_first`. Both choose the same items.
"""

import numpy as np

from unified_ranker.core.array_module import Array, ArrayModule
from unified_ranker.core.arrays import Ints, Mask

_BONUS = 1e6
"""Bonus of a proposed item, above any score of the two towers."""


def raised(scores: Array, proposed: Array, arrays: ArrayModule) -> Array:
    """Raise proposed items above all others.

    Args:
        scores: of retrieval, `[batch, items]`. Items at -inf may not answer, and stay at -inf.
        proposed: mask of the proposed items, `[batch, items]`.
        arrays: functions of the library that both are from.
    """
    return arrays.where(proposed, scores + _BONUS, scores)


def proposed_mask(proposals: Ints, items: int) -> Mask:
    """Return the mask `[batch, items]` of proposals `[batch, n]`, where -1 is none."""
    out = np.zeros((len(proposals), items), bool)
    rows, columns = np.nonzero(proposals >= 0)
    out[rows, proposals[rows, columns]] = True
    return out


def proposals_first(found: Ints, proposals: Ints, most: int) -> Ints:
    """Put proposals before what retrieval found, each item once, at most `most` together.

    Args:
        found: items that may answer, best first.
        proposals: items that may answer, each once.
        most: number of items to keep.
    """
    # By a table of its own: `isin` takes twenty times as long as one look-up, to find out which way is best.
    proposed = np.zeros(max(found.max(initial=0), proposals.max(initial=0)) + 1, bool)
    proposed[proposals] = True
    return np.concatenate([proposals, found[~proposed[found]]])[:most]
