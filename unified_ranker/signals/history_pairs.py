"""Weights of pairs of items, from the users who had both and from their order, for `HistorySums`."""

import numpy as np
import numpy.typing as npt
from scipy import sparse
from scipy.linalg import lapack

from unified_ranker.core.arrays import MISSING, Floats
from unified_ranker.prepare.examples import Examples, Histories, runs
from unified_ranker.signals.ordered_pairs import ordered_pairs
from unified_ranker.signals.ragged_rows import strongest_of

_LATEST = 500
"""Number of a user's last items that make neighbours; the pairs grow with its square."""
_ROWS = 1024
"""Number of items whose neighbours are computed at once."""
_PRIOR = 3.0
"""Transitions that are added to an item's total, so that the share of a single one is not 1."""


def items_of_users(histories: Histories, end: int, items: int) -> sparse.csr_array:
    """Return 1 for each of a user's last `_LATEST` items before `end` (seconds), `[users, items]`.

    Events of one second are all among them or none.
    """
    users = len(histories.offsets) - 1
    user = histories.user
    before = np.flatnonzero((histories.timestamp < end) & (histories.item != MISSING))
    # Row of the user's last event + 1; histories are in order of time.
    last = np.searchsorted(user[before], user[before], side="right")
    moment = runs(user[before], histories.timestamp[before])
    kept = before[last - np.searchsorted(moment, moment) <= _LATEST]
    found = sparse.coo_array((np.ones(len(kept), np.float32), (user[kept], histories.item[kept])), (users, items))
    found = found.tocsr()
    found.data[:] = 1.0
    return found


def cosines(engaged: sparse.csr_array, most: int) -> sparse.csr_array:
    """Return the `most` highest cosines of each item with other items, over users, `[items, items]`."""
    norm = np.sqrt(np.maximum(engaged.sum(axis=0), 1.0)).astype(np.float32)
    scaled = (engaged @ sparse.diags_array(1 / norm)).tocsr()
    users = scaled.T.tocsr()
    parts = []
    for begin in range(0, users.shape[0], _ROWS):
        part = (users[begin : begin + _ROWS] @ scaled).tocsr()
        own = np.repeat(np.arange(part.shape[0]), np.diff(part.indptr)) + begin == part.indices
        # An item is no neighbour of itself.
        part.data[own] = 0.0
        part.eliminate_zeros()
        starts, partners, weights = strongest_of(part, most)
        parts.append(sparse.csr_array((weights, partners, starts[:-1]), shape=part.shape))
    return sparse.vstack(parts, format="csr") if parts else sparse.csr_array((0, 0), dtype=np.float32)


def transition_shares(histories: Histories, end: int, items: int, reach: int) -> sparse.csr_array:
    """Return the shares of the items that followed each item before `end` (seconds), `[items, items]`."""
    user = histories.user
    before = np.flatnonzero((histories.timestamp < end) & (histories.item != MISSING))
    item = histories.item[before]
    earlier, later, distance = ordered_pairs(user[before], histories.timestamp[before], item, reach)
    first, second, weight = item[earlier], item[later], (1 / distance).astype(np.float32)
    others = first != second
    counts = sparse.coo_array((weight[others], (first[others], second[others])), (items, items)).tocsr()
    totals = np.asarray(counts.sum(axis=1)).ravel()
    return (sparse.diags_array((1 / (totals + _PRIOR)).astype(np.float32)) @ counts).tocsr()


def ease_pairs(
    past: Examples, users: int, items: int, regularisation: float, most_items: int, most: int
) -> sparse.csr_array:
    """Return EASE's weights of the positives `past`, `[items, items]`.

    It covers the `most_items` items with most positives, and keeps the `most` largest weights of each.
    """
    past = past.take((past.item != MISSING) & (past.user != MISSING))
    engaged = sparse.coo_array((np.ones(len(past), np.float32), (past.user, past.item)), (users, items)).tocsr()
    engaged.data[:] = 1.0
    counts = np.asarray(engaged.sum(axis=0)).ravel()
    covered = np.sort(np.argsort(-counts, kind="stable")[: min(most_items, np.count_nonzero(counts))])
    within = engaged[:, covered]
    weights = ease_weights((within.T @ within).toarray().astype(np.float32, order="F"), regularisation)
    rows, columns, values = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0, np.float32)]
    for begin in range(0, len(covered), _ROWS):
        # In parts, because as a sparse matrix the weights of all pairs take ten times the memory.
        starts, partners, kept = strongest_of(sparse.csr_array(weights[begin : begin + _ROWS]), most)
        rows.append(np.repeat(covered[begin : begin + _ROWS], np.diff(starts[:-1])))
        columns.append(covered[partners])
        values.append(kept)
    pairs = (np.concatenate(rows), np.concatenate(columns))
    return sparse.coo_array((np.concatenate(values), pairs), (items, items)).tocsr()


def ease_weights(gram: npt.NDArray[np.float32], regularisation: float) -> Floats:
    """Solve EASE for `gram` = XᵀX `[items, items]` (overwritten), and return its weights `[items, items]`.

    B = -P / diag(P), by columns, with P the inverse of XᵀX + λI and the diagonal set to zero.

    Raises:
        np.linalg.LinAlgError: XᵀX + λI is not positive definite, which λ > 0 rules out for a real XᵀX.
    """
    if not len(gram):
        return gram
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] += regularisation
    # The inverse of a symmetric positive definite matrix costs half the operations of a general one.
    factor, failed = lapack.spotrf(gram, lower=1, overwrite_a=1)
    inverse, failed_too = lapack.spotri(factor, lower=1, overwrite_c=1)
    if failed or failed_too:
        raise np.linalg.LinAlgError(
            f"XᵀX + {regularisation} I is not positive definite (LAPACK {failed}, {failed_too})."
        )
    # LAPACK leaves the upper triangle zero.
    inverse += np.tril(inverse, -1).T
    inverse /= -np.diag(inverse)
    inverse[diagonal] = 0.0
    return inverse
