"""Numbers far from all others among the values of events: 255 beside a scale to 100, 99 beside one to 5, 50 for 5."""

import numpy as np

from unified_ranker.core.arrays import Floats

_NINES = [float("9" * digits) for digits in range(1, 8)]
PLACEHOLDERS = frozenset(
    {
        *_NINES,
        *(-number for number in _NINES),
        *(127.0, 128.0, 255.0, 32767.0, 65535.0, 2147483647.0, 4294967295.0, -127.0, -128.0, -32768.0, -2147483648.0),
    }
)
"""Numbers that exports and old files write where there is no value. -1 is none: it may be a vote or a return."""
FREQUENT_FROM = 0.01
"""Share of the values from which a placeholder is one, and up to which another number is a slip of the pen."""


def far_numbers(values: Floats) -> dict[float, bool]:
    """Return the numbers that lie as far from the nearest of the others as these from each other.

    Args:
        values: finite, `[n]`.

    Returns:
        Whether each is a placeholder: a frequent one of `PLACEHOLDERS`. The others are rare.
    """
    distinct, counts = np.unique(values, return_counts=True)
    found: dict[float, bool] = {}
    while len(distinct) > 2:
        gaps = {len(distinct) - 1: distinct[-1] - distinct[-2], 0: distinct[1] - distinct[0]}
        end = max(gaps, key=lambda at: gaps[at])
        number, share = float(distinct[end]), counts[end] / len(values)
        placeholder = number in PLACEHOLDERS and share >= FREQUENT_FROM
        distinct, counts = np.delete(distinct, end), np.delete(counts, end)
        if gaps[end] < np.ptp(distinct) or not (placeholder or share <= FREQUENT_FROM):
            break
        found[number] = placeholder
    return found
