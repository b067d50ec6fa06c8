"""Scale of the values of an event type: ratings, shares, votes or amounts, and the values that say yes."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from unified_ranker.config import TablesSource
from unified_ranker.core.arrays import Floats
from unified_ranker.log.absent_words import ABSENT_WORDS
from unified_ranker.log.column_names import words_of_name
from unified_ranker.project.far_numbers import far_numbers

ScaleKind = Literal["rating", "share", "vote", "amount", "zero"]

VALUED_SHARE = 0.5
"""Share of events with a value from which the values are a scale of the event type."""
LIKED_SHARE = 0.2
"""Share of values at four fifths of the top from which a scale is one of ratings, not of counts."""
ROUNDING = 1e-9
"""Share of the median below which an amount is 0 but for rounding."""
FEW_RESTS = 1e-3
"""Share of amounts that are what rounding left of a 0, up to which they are left to count, so that the bound is 0."""
RATING_TOPS = ((1, 0.1), (5, 0.5), (7, 1.0), (10, 0.5), (20, 1.0), (100, 1.0))
"""Tops of rating scales with their least steps. 1 and 100 must occur: amounts and prices have no top."""
REACHED_TOPS = (1, 100)
SHARE_DISTINCT = 10
"""Distinct fractions from 0 to 1 from which they are shares of something by their values alone."""
MOST_OF_A_SHARE = 1.5
"""Greatest median of a share that is 1 where all is consumed: what is played twice has 2."""
_CONSUMED = frozenset(
    {
        *("watch", "watched", "play", "played", "listen", "listened", "listening", "read", "reading", "view", "viewed"),
        *("scroll", "scrolled", "video", "track", "complete", "completed", "completion", "progress", "finish", "dwell"),
    }
)
_SHARES = frozenset(
    {
        *("ratio", "share", "fraction", "percent", "percentage", "pct", "perc"),
        *("depth", "progress", "completion", "complete"),
    }
)


@dataclass(frozen=True)
class ValueColumn:
    """Column of the values, as far as declarations speak of it.

    Attributes:
        name: its name in the source.
        declares_none: whether some of its numbers are declared to be no value.
    """

    name: str = "value"
    declares_none: bool = False

    @classmethod
    def of(cls, data: object) -> "ValueColumn":
        """Return the column that is declared in `data` of project.yaml."""
        source = data.columns.events.get("value") if isinstance(data, TablesSource) else None
        if source is None:
            return cls()
        return cls(source.column or "value", any(ours in ABSENT_WORDS for ours in source.values.values()))

    @property
    def is_share(self) -> bool:
        """Tells whether the name says how much of an item was consumed: `watch_ratio`, `progress`."""
        words = set(words_of_name(self.name))
        return bool(words & _CONSUMED and words & _SHARES)


UNDECLARED = ValueColumn()
"""Values of which no declaration speaks."""


@dataclass(frozen=True)
class ValueScale:
    """Scale of the values of one event type.

    Attributes:
        kind: "rating": steps up to a top, of which high ones are frequent, and 0 or -1 where there is none; "share":
            how much of an item was consumed, 1 or 100 where all was; "vote": 1 for yes, and 0 or -1 for no; "amount":
            numbers of which some are 0 or below; "zero": all 0.
        least: least value that says yes: four fifths of a rating's top, half of a share's, 1 of votes; None of others.
        above: number that an amount must exceed to say yes: 0, or what rounding left of a 0; None of others.
        top: of ratings and shares; None of others.
        share: share of the values that say yes.
        lowest: the least value of all.
        refusing: share of the values that are 0 or below.
        strays: numbers far outside of the scale, which stand for no value; they are none of the above.
    """

    kind: ScaleKind
    least: float | None
    above: float | None
    top: float | None
    share: float
    lowest: float
    refusing: float
    strays: tuple[float, ...] = ()

    @property
    def unrated(self) -> bool:
        """Tells whether some ratings are 0 or -1, which stands for none."""
        return self.kind == "rating" and self.refusing > 0

    def leaves_out(self, far: Mapping[float, bool]) -> bool:
        """Tell whether numbers far from the others are no values of the scale.

        Of ratings and shares all beyond the top and below 0 are none; of others, which have no top, placeholders are.

        Args:
            far: whether each number is a placeholder.
        """
        if self.top is not None:
            return all(number > self.top or number < 0 for number in far)
        return all(far.values())


def value_scale(
    values: "pd.Series[float]", column: ValueColumn = UNDECLARED, valued_share: float = VALUED_SHARE
) -> ValueScale | None:
    """Return the scale of `values` `[events]`; None where they are few, all below 0, or numbers above 0 without a top.

    Ratings are steps up to 1, 5, 7, 10, 20 or 100. A quantity on the same steps is mostly 1.

    Args:
        values: of one event type.
        column: of the values.
        valued_share: share of events with a value from which they are a scale.
    """
    there = values.to_numpy(np.float64, na_value=np.nan)
    there = there[np.isfinite(there)]
    if not len(there) or (len(there) < valued_share * len(values) and not column.declares_none):
        return None
    # What is left of a 0 where amounts were computed: log1p of a sum that came to 4e-16.
    rests = (np.abs(there) < ROUNDING * np.median(np.abs(there))) & (there != 0)
    many = rests.mean() > FEW_RESTS
    rest = float(10.0 ** np.ceil(np.log10(np.abs(there[rests]).max()))) if many else 0.0
    there = np.where(rests, 0.0, there)
    far = far_numbers(there)
    if far:
        strays = tuple(sorted(far))
        scale = _of_scale(there[~np.isin(there, strays)], column, rest, strays)
        if scale is not None and scale.leaves_out(far):
            return scale
    return _of_scale(there, column, rest)


def _of_scale(there: Floats, column: ValueColumn, rest: float, strays: tuple[float, ...] = ()) -> ValueScale | None:
    """Return the scale of numbers that are all values; `rest` is what rounding left of a 0."""
    above, others = there[there > 0], np.unique(there[there <= 0])
    if not len(above):
        return _scale("zero", there, strays=strays) if len(others) and others.min() == 0 else None
    few = others.tolist() in ([], [0.0], [-1.0], [-1.0, 0.0])
    share = _share_top(above, column) if few else None
    if share is not None:
        return _scale("share", there, share / 2, top=share, strays=strays)
    top = _rating_top(above) if few else None
    if top is not None:
        return _scale("rating", there, _liked_from(top), top=top, strays=strays)
    if there.min() > 0:
        return None
    if np.isin(there, (-1.0, 0.0, 1.0)).all():
        return _scale("vote", there, 1.0, strays=strays)
    return _scale("amount", there, above=rest, strays=strays)


def values_that_say_no(values: "pd.Series[float]", column: ValueColumn = UNDECLARED) -> str:
    """Describe the values `[events]` by which some events of a type say no; "" where none does."""
    scale, no = value_scale(values, column), values <= 0
    if scale is not None and scale.kind in ("rating", "share"):
        what = "ratings" if scale.kind == "rating" else "shares of what was consumed,"
        return f"values are {what} up to {scale.top:g}, of which {1 - scale.share:.0%} are below {scale.least:g}"
    if not no.any() or (scale is not None and scale.kind == "zero"):
        return ""
    return f"{int(no.sum()):,} of {len(values):,} values are 0 or below, from {values.min():g}"


def _scale(
    kind: ScaleKind,
    values: Floats,
    least: float | None = None,
    *,
    above: float | None = None,
    top: float | None = None,
    strays: tuple[float, ...] = (),
) -> ValueScale:
    yes = np.ones(len(values), bool) if above is None else values > above
    yes = yes if least is None else values.astype(np.float32) >= np.float32(least)
    return ValueScale(
        kind, least, above, top, float(yes.mean()), float(values.min()), float((values <= 0).mean()), strays
    )


def _share_top(values: Floats, column: ValueColumn) -> float | None:
    """Return 1 or 100, of which values above 0 are a share; None where they are none."""
    if column.is_share:
        middle, highest = float(np.median(values)), float(values.max())
        return 1.0 if middle <= MOST_OF_A_SHARE else 100.0 if highest <= 100 else None
    fractions = (values != np.floor(values)).any() and values.max() <= 1 and not _on_steps(values, 0.1)
    many = fractions and len(np.unique(values)) >= SHARE_DISTINCT
    return 1.0 if many and (values >= 0.5).mean() >= LIKED_SHARE else None


def _rating_top(values: Floats) -> float | None:
    """Return the top of the rating scale of values above 0; None when they are no ratings."""
    if len(np.unique(values)) < 2:
        return None
    highest = values.max()
    for top, step in RATING_TOPS:
        if highest <= top and _on_steps(values, step):
            reached = highest == top or top not in REACHED_TOPS
            return float(top) if reached and (values >= _liked_from(top)).mean() >= LIKED_SHARE else None
    return None


def _on_steps(values: Floats, step: float) -> bool:
    """Tell whether all values are multiples of a step, as far as 32 bits hold them."""
    steps = values / step
    return bool((np.abs(steps - np.rint(steps)) < 1e-5).all())


def _liked_from(top: float) -> float:
    """Return the first whole step at or above four fifths of a top; of 1 that share itself."""
    return 0.8 if top == 1 else float(np.ceil(0.8 * top))
