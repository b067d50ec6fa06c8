"""Top tens of scorers, and how widely they spread over the catalogue: coverage and concentration."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import MISSING, Ints, Mask

TOP = 10
"""Items of a request that are looked at: what an answer shows at once."""
_BLOCK, _BLOCKS = 32, 12
"""Items of a block, and how many blocks are looked into. With more of either, sorting takes longer than is saved."""


@dataclass(frozen=True)
class Concentration:
    """Spread of one scorer's top tens over the catalogue.

    Attributes:
        scorer: its name.
        coverage: share of the catalogue that is in at least one top ten.
        top_share: share of all slots that the most recommended 1 % of the catalogue take, at least one item.
        gini: Gini coefficient of the slots by item: 0 where every item has as many, near 1 where few have all.
    """

    scorer: str
    coverage: float
    top_share: float
    gini: float


def top_items(scores: npt.NDArray[np.floating], allowed: Mask) -> Ints:
    """Return the `TOP` allowed items of each request with the highest scores, the best first, `[batch, TOP]`.

    Only the blocks of items with the highest scores are looked into, so that the catalogue is read once and neither
    copied nor sorted. Where forbidden items make these blocks high, all items of
    the request are looked into.

    Args:
        scores: `[batch, items]`, without NaN.
        allowed: `[batch, items]`, the candidates.

    Returns:
        Item indices; `MISSING` behind the last one of a request that has fewer.
    """
    batch, items = scores.shape
    count = -(-items // _BLOCK)
    if count <= _BLOCKS:
        return _best(scores, allowed, np.broadcast_to(np.arange(items), (batch, items)))[0]
    # A block has the items of one number modulo `count`: the maxima of all blocks are then those of long rows.
    rows = items // count
    highest = scores[:, : rows * count].reshape(batch, rows, count).max(axis=1)
    rest = items - rows * count
    np.maximum(highest[:, :rest], scores[:, rows * count :], out=highest[:, :rest])
    by_height = np.argpartition(highest, -_BLOCKS - 1, axis=1)
    beyond = np.take_along_axis(highest, by_height[:, [-_BLOCKS - 1]], 1)[:, 0]
    blocks = by_height[:, -_BLOCKS:]
    columns = (blocks[:, None] + count * np.arange(rows + 1)[:, None]).reshape(batch, -1)
    found, least = _best(scores, allowed, columns)
    # A block that was left out may hold better ones, where those that were chosen are high by forbidden items.
    unsure = np.flatnonzero(least < beyond)
    if len(unsure):
        everything = np.broadcast_to(np.arange(items), (len(unsure), items))
        found[unsure] = _best(scores[unsure], allowed[unsure], everything)[0]
    return found


def concentration(scorer: str, top: Ints, items: int) -> Concentration:
    """Return how the top tens `[requests, TOP]` of a scorer spread over a catalogue of `items`."""
    taken = np.sort(np.bincount(top[top != MISSING], minlength=items))
    total = int(taken.sum())
    if not total:
        return Concentration(scorer, 0.0, 0.0, 0.0)
    most = max(1, items // 100)
    rank = np.arange(1, items + 1)
    gini = 2 * float((rank * taken).sum()) / (items * total) - (items + 1) / items
    return Concentration(scorer, float((taken > 0).mean()), float(taken[-most:].sum()) / total, gini)


def _best(scores: npt.NDArray[np.floating], allowed: Mask, columns: Ints) -> tuple[Ints, npt.NDArray[np.floating]]:
    """Return the best allowed items among `columns` `[batch, n]`, and the score of the last of them, `[batch]`."""
    # A block may reach beyond the catalogue.
    there = columns < scores.shape[1]
    columns = np.where(there, columns, 0)
    may = there & np.take_along_axis(allowed, columns, 1)
    values = np.where(may, np.take_along_axis(scores, columns, 1), -np.inf)
    count = min(TOP, columns.shape[1])
    among = np.sort(np.argpartition(values, -count, axis=1)[:, -count:], axis=1)
    order = np.take_along_axis(among, np.argsort(-np.take_along_axis(values, among, 1), axis=1, kind="stable"), 1)
    found = np.full((len(scores), TOP), MISSING, np.int64)
    there = np.take_along_axis(may, order, 1)
    found[:, :count] = np.where(there, np.take_along_axis(columns, order, 1), MISSING)
    return found, np.take_along_axis(values, order[:, -1:], 1)[:, 0]
