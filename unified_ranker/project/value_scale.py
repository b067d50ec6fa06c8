"""Scale of the values of an event type: ratings, votes or amounts, and the least value that says yes."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Floats

ScaleKind = Literal["rating", "vote", "amount", "zero"]

VALUED_SHARE = 0.5
"""Share of events with a value from which the values are a scale of the event type."""
LIKED_SHARE = 0.2
"""Share of values at four fifths of the top from which a scale is one of ratings, not of counts."""
ROUNDING = 1e-9
"""Share of the median below which an amount is 0 but for rounding."""
RATING_TOPS = ((5, 0.5), (7, 1.0), (10, 0.5), (20, 1.0), (100, 1.0))
"""Tops of rating scales with their least steps. 100 is a percentage, whose top must occur: prices have no top."""


@dataclass(frozen=True)
class ValueScale:
    """Scale of the values of one event type.

    Attributes:
        kind: "rating": steps up to a top, of which high ones are frequent, and 0 or -1 where there is none; "vote": 1
            for yes, and 0 or -1 for no; "amount": numbers of which some are 0 or below; "zero": all 0.
        least: least value that says yes: four fifths of a rating's top, 1 of votes, the least amount above 0; 0 where
            all are 0, which says neither.
        top: of ratings; None of others.
        share: share of the values from `least` up.
        lowest: the least value of all.
        refusing: share of the values that are 0 or below.
    """

    kind: ScaleKind
    least: float
    top: float | None
    share: float
    lowest: float
    refusing: float

    @property
    def unrated(self) -> bool:
        """Tells whether some ratings are 0 or -1, which stands for none."""
        return self.kind == "rating" and self.refusing > 0


def value_scale(values: "pd.Series[float]") -> ValueScale | None:
    """Return the scale of `values` `[events]`; None where they are few, all below 0, or numbers above 0 without a top.

    Ratings are steps up to 5, 7, 10, 20 or 100. A quantity on the same steps is mostly 1.
    """
    there = values.to_numpy(np.float64, na_value=np.nan)
    there = there[np.isfinite(there)]
    # What is left of a 0 where amounts were computed: log1p of a sum that came to 4e-16.
    if len(there):
        there = np.where(np.abs(there) < ROUNDING * np.median(np.abs(there)), 0.0, there)
    if not len(there) or len(there) < VALUED_SHARE * len(values):
        return None
    above, others = there[there > 0], np.unique(there[there <= 0])
    if not len(above):
        return _scale("zero", there, 0.0) if others.min() == 0 else None
    top = _rating_top(above) if others.tolist() in ([], [0.0], [-1.0]) else None
    if top is not None:
        return _scale("rating", there, _liked_from(top), top)
    if there.min() > 0:
        return None
    if np.isin(there, (-1.0, 0.0, 1.0)).all():
        return _scale("vote", there, 1.0)
    # The shortest number that is this value in 32 bits, in which values are kept.
    return _scale("amount", there, float(np.format_float_positional(np.float32(above.min()))))


def values_that_say_no(values: "pd.Series[float]") -> str:
    """Describe the values `[events]` by which some events of a type say no; "" where none does."""
    scale, no = value_scale(values), values <= 0
    if scale is not None and scale.kind == "rating":
        return f"values are ratings up to {scale.top:g}, of which {1 - scale.share:.0%} are below {scale.least:g}"
    if not no.any() or (scale is not None and scale.kind == "zero"):
        return ""
    return f"{int(no.sum()):,} of {len(values):,} values are 0 or below, from {values.min():g}"


def _scale(kind: ScaleKind, values: Floats, least: float, top: float | None = None) -> ValueScale:
    liked = values.astype(np.float32) >= np.float32(least)
    return ValueScale(kind, least, top, float(liked.mean()), float(values.min()), float((values <= 0).mean()))


def _rating_top(values: Floats) -> float | None:
    """Return the top of the rating scale of values above 0; None when they are no ratings."""
    if len(np.unique(values)) < 2:
        return None
    highest = values.max()
    for top, step in RATING_TOPS:
        steps = values / step
        if highest <= top and (steps == np.floor(steps)).all():
            reached = highest == top or top < 100
            return float(top) if reached and (values >= _liked_from(top)).mean() >= LIKED_SHARE else None
    return None


def _liked_from(top: float) -> float:
    """Return the first whole step at or above four fifths of a top."""
    return float(np.ceil(0.8 * top))
