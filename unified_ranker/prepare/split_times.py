"""Temporal split of a log: its bounds, between moments, as near to the declared shares as moments allow."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unified_ranker.config import Config
from unified_ranker.core.arrays import Ints


@dataclass(frozen=True)
class SplitTimes:
    """Bounds of the split in seconds: train < `train_end` <= validation < `validation_end` <= test."""

    train_end: int
    validation_end: int

    def fit_end(self, config: Config) -> int:
        """Return the end of the fit window, which `project.split.fit_on` chooses."""
        return self.train_end if config.project.split.fit_on == "train" else self.validation_end


def split_times(parts: Sequence[Ints], config: Config) -> SplitTimes:
    """Return the bounds of the split that `project.split` declares.

    Args:
        parts: times of the labelled events in seconds, ascending within each part and from part to part.
        config: the declarations.
    """
    shares = config.project.split
    return SplitTimes(bound(parts, shares.train), bound(parts, shares.train + shares.validation))


def bound(parts: Sequence[Ints], share: float) -> int:
    """Return the moment before which the `share` of all times lies, or the share that comes nearest to it.

    It is the quantile of the times. Where that lies in a second of several events, which cannot be divided, they come
    before the bound or behind it, whichever is nearer to the share; the last second of all is always behind it.
    """
    total = sum(len(part) for part in parts)
    point = int(np.ceil(_quantile(parts, share)))
    below, upto = (sum(int(np.searchsorted(part, point, side)) for part in parts) for side in ("left", "right"))
    wanted = share * total
    return point + (upto - below > 1 and upto < total and upto - wanted < wanted - below)


def _quantile(parts: Sequence[Ints], share: float) -> float:
    """Return the quantile, as `np.quantile` does, of numbers that ascend from part to part."""
    total = sum(len(part) for part in parts)
    point = (total - 1) * share
    low = int(np.floor(point))
    below, above = (_at(parts, min(n, total - 1)) for n in (low, low + 1))
    # Interpolated from the nearer end, as NumPy does, so that rounding is the same.
    weight = point - low
    return above - (above - below) * (1 - weight) if weight >= 0.5 else below + (above - below) * weight


def _at(parts: Sequence[Ints], number: int) -> float:
    for part in parts:
        if number < len(part):
            return float(part[number])
        number -= len(part)
    raise IndexError(number)
