"""Items that a library was trained on, numbered without gaps; it has no score for the others."""

import numpy as np
from exchange import NOTHING, Floats, Ints


class KnownItems:
    """Items of some interactions.

    Attributes:
        known: their indices in the catalogue, ascending; an item's number is its place.
    """

    def __init__(self, items: Ints, catalogue: int) -> None:
        self.known = np.unique(items)
        self._number = np.full(catalogue, NOTHING)
        self._number[self.known] = np.arange(len(self.known))

    def number(self, items: Ints) -> Ints:
        """Return the numbers of items of the catalogue; `NOTHING` for those that are not known, and for `NOTHING`."""
        return np.where(items == NOTHING, NOTHING, self._number[items])

    def of_catalogue(self, scores: Floats) -> Floats:
        """Return scores `[n, known items]` as scores of the catalogue `[n, items]`; -inf for what is not known.

        A row without a score stays one.
        """
        out = np.full((len(scores), len(self._number)), -np.inf, np.float32)
        out[:, self.known] = scores
        out[np.isnan(scores).any(1)] = np.nan
        return out


def cosines(vectors: Floats, numbers: Ints) -> Floats:
    """Return the cosines of items by their numbers with all items, `[n, items]`."""
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(norms, 1e-12)
    return unit[numbers] @ unit.T
