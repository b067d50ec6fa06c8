"""Bounds of numbers that come from outside."""

from typing import Any, TypeGuard

import numpy as np

MOST_STRENGTH = 1e9
"""Largest graded strength of an event, and minus the least one."""
MOST_POSITION = 1_000_000
"""Largest position of an item in an answer."""
MOST_LIMIT = 1_000_000
"""Most items of an answer to a row of a table."""
MOST_NUMBER = float(np.finfo(np.float32).max)
"""Largest number of a feature, and minus the least one: the model reads float32."""


def is_bounded(value: Any, least: float, most: float) -> TypeGuard[int | float]:
    """Tell whether a value from outside is a number within bounds: no truth value, not NaN, of any number of digits.

    It is compared as it is: converting an integer of 400 digits to a float is an error.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most
