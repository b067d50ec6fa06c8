"""Bounds of numbers that come from outside."""

from typing import Any, TypeGuard

MOST_STRENGTH = 1e9
"""Largest graded strength of an event, and minus the least one."""
MOST_POSITION = 1_000_000
"""Largest position of an item in an answer."""
MOST_LIMIT = 1_000_000
"""Most items of an answer to a row of a table."""
MOST_NUMBER = 3.4e38
"""Largest number of a feature, and minus the least one: the model reads float32."""
MOST_OPTION = 2**32 - 1
"""Largest number of an option of the command line, and minus the least one."""
_DIGITS = 20
"""Digits of a whole number of JSON from which it is read as a float; reading a longer one takes quadratic time."""


def is_bounded(value: Any, least: float, most: float) -> TypeGuard[int | float]:
    """Tell whether a value from outside is a number within bounds: no truth value, not NaN, of any number of digits.

    It is compared as it is: converting an integer of 400 digits to a float is an error.
    """
    return isinstance(value, int | float) and not isinstance(value, bool) and least <= value <= most


def parse_whole(digits: str) -> int | float:
    """Read a whole number of JSON, for `json.loads(parse_int=…)`; infinity for one that no float holds.

    Python refuses more than 4,300 digits with an error that does not say where they are.
    """
    return int(digits) if len(digits) <= _DIGITS else float(digits)


def number_text(value: float) -> str:
    """Return a number that was refused as short text."""
    return f"{parse_whole(str(value)) if isinstance(value, int) else value:g}"
