"""Integer codes: whole numbers that are names of kinds, whose order says nothing."""

import numpy as np

from unified_ranker.log.column_names import words_of_name

AMOUNT_WORDS = frozenset(
    {
        *("price", "cost", "amount", "sum", "total", "count", "counts", "num", "qty", "quantity", "stock", "size"),
        *("length", "width", "height", "weight", "depth", "area", "volume", "duration", "minutes", "seconds", "hours"),
        *("days", "year", "years", "age", "month", "pages", "rating", "stars", "score", "percent", "share", "discount"),
        *("level", "rank", "order", "bedrooms", "rooms", "beds", "guests", "calories", "grams", "points", "votes"),
    }
)
"""Words in the name of a column that say that its numbers are amounts."""
CODE_WORDS = frozenset({"id", "code", "no", "nr", "key", "zip", "zipcode", "postcode"})
"""Last words in the name of a column that say that its numbers are codes."""
LEAST_ROWS = 10
"""Rows a distinct number must have on average for its mean to say something."""
ORDERED = 0.5
"""Share of what the numbers explain of the activity that their order must explain for them to be an amount."""
SIGNIFICANT = 9.0
"""Rows times the share of variance that a straight line explains, from which it is no accident (three deviations)."""


def is_code_by_name(name: str) -> bool:
    """Tell whether the name of a column says that its numbers are codes."""
    words = words_of_name(name)
    return bool(words) and words[-1] in CODE_WORDS


def are_codes(name: str, numbers: np.ndarray, activity: np.ndarray | None) -> bool:
    """Tell whether a column of few whole numbers holds codes.

    They are codes unless the name says that they are amounts, or activity rises or falls with them: of what the
    numbers explain of it, a straight line over their order explains half.

    Args:
        name: the column's.
        numbers: whole numbers of its rows `[rows]`.
        activity: logarithm of the events of each row's item or user `[rows]`; None = unknown.
    """
    values, code, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    if AMOUNT_WORDS & set(words_of_name(name)) or values[0] < 0 or len(values) < 3:
        return False
    if len(numbers) < LEAST_ROWS * len(values):
        return False
    if activity is None or np.ptp(activity) == 0:
        return True
    centred = activity - activity.mean()
    means = np.bincount(code, centred) / sizes
    total = float(centred @ centred)
    between = float((sizes * means**2).sum()) / total
    chance = (1 - between) * (len(values) - 1) / (len(numbers) - len(values))
    line = float(np.corrcoef(code, activity)[0, 1]) ** 2
    return not (line * len(numbers) >= SIGNIFICANT and line >= ORDERED * max(between - chance, 0.0))
