"""Inspection of the columns of a table: the feature that each could be, with the reason.

The rules are simple on purpose, and every finding has its counts, so that a person can overrule it.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from unified_ranker.project.init.integer_codes import are_codes, is_code_by_name
from unified_ranker.towers.feature_group import fitting_types
from unified_ranker.towers.feature_types.base import ITEM_FEATURES
from unified_ranker.towers.feature_types.number import NumberFeature

FEW = 50
"""Distinct values up to which a category is small, so that even rare values are learnt."""
RARE = 5
"""Least rows of a value of a larger category, because the vector of a rarer one would be noise."""
LEAST_REPEAT = 2.0
"""Rows a distinct value must have on average in a small category; below, the column is more like an id."""
LEAST_COVERED = 0.2
"""Share of rows whose value occurs `RARE` times, from which a large category is worth its vectors."""
MANY_LISTED = 200
"""Distinct values of a list column up to which even the rare ones are kept."""
TEXT_WORDS = 3.0
"""Mean words from which mostly distinct strings are text rather than ids."""
TEXT_DISTINCT = 0.5
"""Share of distinct values from which strings of several words are text rather than categories."""
MAX_DIGITS = 6
HEAVY_TAIL = 5.0
"""Ratio of the 99th percentile to the median from which a positive number is taken by its logarithm."""
LATITUDES, LONGITUDES = frozenset({"latitude", "lat"}), frozenset({"longitude", "lon", "lng", "long"})
"""Words in the name of a column that make it a latitude or a longitude, if its numbers can be one."""
LEAST_LOCATED = 0.5
"""Share of rows with coordinates from which they are the locations of items."""


@dataclass(frozen=True)
class Finding:
    """Finding about a column: the features that it could be.

    Attributes:
        column: its name.
        type: the feature it makes; None = none.
        why: the reason, with the counts seen.
        min_count: rows that a category's value needs.
        log: whether a number is taken by its logarithm.
    """

    column: str
    type: Literal["text", "category", "categories", "number"] | None
    why: str
    min_count: int = 1
    log: bool = False


def present(column: pd.Series) -> "pd.Series[bool]":
    """Return which rows have a value `[rows]`; an empty list is none."""
    there = column.notna()
    if pd.api.types.is_object_dtype(column.dtype):
        there &= column.map(lambda v: not isinstance(v, list) or len(v) > 0).astype(bool)
    return there


def describe(column: pd.Series) -> str:
    """Return what a column holds, in a few words."""
    kind = column.dtype
    if isinstance(kind, pd.StringDtype):
        return "text"
    if pd.api.types.is_bool_dtype(kind):
        return "truth values"
    if pd.api.types.is_integer_dtype(kind):
        return "whole numbers"
    if pd.api.types.is_float_dtype(kind):
        return "numbers"
    if pd.api.types.is_datetime64_any_dtype(kind):
        return "times"
    return "lists of text" if fitting_types(column, ITEM_FEATURES) else "values that no feature takes"


def inspect_column(column: pd.Series, activity: np.ndarray | None = None) -> Finding:
    """Return the finding about a column of a canonical log; keys and creation times are left to the caller.

    Args:
        column: `[rows]`.
        activity: logarithm of the events of each row's item or user `[rows]`, by which codes are distinguished from
            amounts; None = unknown.
    """
    name, there = str(column.name), present(column)
    values = column[there]
    if values.empty:
        return Finding(name, None, "no row has a value")
    known = "" if there.all() else f"; {percent(float(there.mean()))} of rows have one"
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return Finding(name, None, "a time; the model reads `created_at` only")
    types = fitting_types(column, ITEM_FEATURES)
    if "categories" in types:
        return _lists(name, values, known)
    if "text" in types:
        return _strings(name, values, known)
    if "category" in types and pd.api.types.is_integer_dtype(column.dtype):
        if is_code_by_name(name):
            return _category(name, values.astype("string"), known)
        of_rows = None if activity is None else activity[there.to_numpy(bool)]
        if values.nunique() <= FEW and are_codes(name, values.to_numpy(np.float64), of_rows):
            return _category(name, values.astype("string"), f"; whole numbers whose order says nothing{known}")
    if pd.api.types.is_bool_dtype(column.dtype):
        return _category(name, values.astype("string"), known)
    if "number" in types:
        return _number(name, values, known)
    return Finding(name, None, f"holds {describe(column)}")


def without_twins(table: pd.DataFrame, findings: Sequence[Finding]) -> Iterator[Finding]:
    """Yield the findings, without categories that say the same as another: codes beside their names.

    Of two such columns the one with text is kept, else the first.
    """
    kept: dict[str, np.ndarray] = {}
    categories = [f.column for f in findings if f.type == "category"]
    twins: dict[str, str] = {}
    for column in sorted(categories, key=lambda c: not isinstance(table[c].dtype, pd.StringDtype)):
        codes = pd.factorize(table[column])[0]
        twin = next((other for other, known in kept.items() if _same_parts(codes, known)), None)
        if twin is None:
            kept[column] = codes
        else:
            twins[column] = twin
    for finding in findings:
        twin = twins.get(finding.column)
        yield finding if twin is None else Finding(finding.column, None, f"says the same as `{twin}`")


def _same_parts(codes: np.ndarray, others: np.ndarray) -> bool:
    """Tell whether two codings `[rows]` part the rows alike."""
    distinct = codes.max() + 1
    return distinct == others.max() + 1 and len(np.unique(codes * (distinct + 1) + others)) == len(np.unique(codes))


def coordinates(table: pd.DataFrame) -> tuple[str, str] | None:
    """Return the columns of latitude and longitude in degrees, as `venue_lat` and `venue_lon`; None without a pair."""
    named = {str(column): re.split(r"[\W_]+", str(column).lower()) for column in table.columns}
    for latitude, words in named.items():
        for longitude, others in named.items():
            pairs = [pair for pair in zip(words, others, strict=False) if pair[0] != pair[1]]
            alike = len(words) == len(others) and len(pairs) == 1
            named_so = alike and pairs[0][0] in LATITUDES and pairs[0][1] in LONGITUDES
            if named_so and _within(table[latitude], 90) and _within(table[longitude], 180):
                return latitude, longitude
    return None


def _within(column: pd.Series, degrees: float) -> bool:
    """Tell whether most rows have a number, none is above `degrees` either way, and they differ."""
    if not pd.api.types.is_numeric_dtype(column.dtype):
        return False
    values = column.to_numpy(np.float64, na_value=np.nan)
    there = values[np.isfinite(values)]
    enough = len(there) > 0 and len(there) >= LEAST_LOCATED * len(values)
    return bool(enough and np.abs(there).max() <= degrees and np.ptp(there) > 0)


def percent(share: float) -> str:
    """Return a share as people write it: "34 %", "0.3 %"; only nothing is 0 %, and only all is 100 %."""
    digits = 0
    while 0 < share < 1 and float(f"{100 * share:.{digits}f}") in (0.0, 100.0) and digits < MAX_DIGITS:
        digits += 1
    return f"{100 * share:.{digits}f} %"


def _strings(name: str, values: pd.Series, known: str) -> Finding:
    distinct = int(values.nunique())
    share = distinct / len(values)
    words = float(values.str.count(r"\S+").mean())
    seen = f"{percent(share)} distinct, {words:.1f} words on average{known}"
    if distinct == 1:
        return Finding(name, None, f"one and the same value everywhere{known}")
    stray = NumberFeature.strays(values)
    if len(stray) and name != "title":
        few = _category(name, values, known)
        return few if few.type and distinct <= FEW else _stray(name, values, stray)
    if name == "title" or (share >= TEXT_DISTINCT and words >= TEXT_WORDS):
        return Finding(name, "text", f"text: {seen}")
    return _category(name, values, known)


def _stray(name: str, values: pd.Series, stray: pd.Series) -> Finding:
    verb = "is" if len(stray) == 1 else "are"
    why = (
        f"{len(stray):,} of {len(values):,} values {verb} no number, e.g. `{stray.iloc[0]}`, so the column is "
        "text; correct them or leave the cells empty, and declare it as a number"
    )
    return Finding(name, None, why)


def _category(name: str, values: pd.Series, known: str) -> Finding:
    counts = values.value_counts()
    distinct = len(counts)
    if distinct == 1:
        return Finding(name, None, f"one and the same value everywhere{known}")
    if distinct <= FEW and len(values) / distinct >= LEAST_REPEAT:
        return Finding(name, "category", f"a category: {distinct:,} distinct values{known}")
    often = counts[counts >= RARE]
    covered = float(often.sum() / len(values))
    if distinct > FEW and covered >= LEAST_COVERED:
        why = (
            f"a category: {distinct:,} distinct values, of which {len(often):,} occur {RARE} times or more "
            f"and make up {percent(covered)} of the rows with one; rarer ones count as unknown{known}"
        )
        return Finding(name, "category", why, min_count=RARE)
    return Finding(name, None, f"nearly every value is its own: {distinct:,} distinct in {len(values):,} rows")


def _lists(name: str, values: pd.Series, known: str) -> Finding:
    lengths = values.map(len)
    counts = Counter(v for row in values for v in row)
    least = 1 if len(counts) <= MANY_LISTED else RARE
    often = sum(n >= max(least, 2) for n in counts.values())
    seen = f"{len(counts):,} distinct, {lengths.mean():.1f} a row, at most {lengths.max()}{known}"
    if len(counts) == 1 or not often:
        return Finding(name, None, f"lists of values that tell no rows apart: {seen}")
    rest = "" if least == 1 else f"; {often:,} occur {least} times or more, the others count as unknown"
    return Finding(name, "categories", f"lists of categories: {seen}{rest}", min_count=least)


def _number(name: str, values: pd.Series, known: str) -> Finding:
    numbers = values.to_numpy(np.float64)
    numbers = numbers[np.isfinite(numbers)]
    distinct = len(np.unique(numbers))
    if distinct < 2:
        return Finding(name, None, f"one and the same number everywhere{known}")
    whole = bool((numbers == np.floor(numbers)).all())
    if whole and distinct == len(numbers) > FEW and numbers.max() - numbers.min() == distinct - 1:
        return Finding(name, None, "a running number")
    low, half, high = (float(q) for q in np.quantile(numbers, [0.0, 0.5, 0.99]))
    seen = f"half are below {half:g}, 1 % above {high:g}"
    if low >= 0 and high > HEAVY_TAIL * max(half, 1.0 if half == 0 else 0.0):
        return Finding(name, "number", f"a number with a long tail, so by its logarithm: {seen}{known}", log=True)
    return Finding(name, "number", f"a number: {seen}{known}")
