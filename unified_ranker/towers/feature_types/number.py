"""Feature type `number`: a numeric column."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from unified_ranker.core.numbers import MOST_NUMBER, is_bounded
from unified_ranker.log.column_types import NUMBER
from unified_ranker.prepare.vocabulary import Scale
from unified_ranker.towers.feature_types.base import (
    ITEM_FEATURES,
    USER_FEATURES,
    Contribution,
    FeatureType,
    SharedEncoders,
)
from unified_ranker.towers.tensorflow import tf

MOST_STRAY = 0.2
"""Largest share of text in a column that counts as a column of numbers with mistakes."""


@USER_FEATURES.declare
@ITEM_FEATURES.declare
class NumberFeature(FeatureType):
    """A numeric column, standardised. An absent value has an indicator of its own."""

    holds: ClassVar[str] = f"a number from -{MOST_NUMBER:g} to {MOST_NUMBER:g}"
    dtype: ClassVar[str] = "float32"

    type: Literal["number"]
    log: bool = False
    """Whether log1p is taken first."""

    @classmethod
    def fits(cls, column: pd.Series) -> bool:
        """See `FeatureType.fits`; truth values are numbers, too."""
        kind = column.dtype
        return pd.api.types.is_numeric_dtype(kind) or pd.api.types.is_bool_dtype(kind)

    @classmethod
    def strays(cls, column: pd.Series) -> pd.Series:
        """See `FeatureType.strays`: text among the numbers, which makes all of the column text."""
        values = column.dropna()
        if not isinstance(column.dtype, pd.StringDtype):
            return values.head(0)
        bad = ~values.str.strip().str.fullmatch(NUMBER).fillna(False).astype(bool)
        return values[bad] if 0 < bad.sum() <= MOST_STRAY * len(values) else values.head(0)

    @classmethod
    def accepts(cls, value: object) -> bool:
        """See `FeatureType.accepts`."""
        return is_bounded(value, -MOST_NUMBER, MOST_NUMBER)

    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """See `FeatureType.to_column`."""
        return pd.to_numeric(pd.Series(values, dtype=object)).astype(np.float64)

    def read(self, column: pd.Series) -> np.ndarray:
        """See `FeatureType.read`."""
        return column.to_numpy(np.float32, na_value=np.nan)

    def scale(self, column: pd.Series) -> Scale:
        """See `FeatureType.scale`; a constant column has the deviation 1."""
        values = self.read(column)
        values = (np.log1p(np.maximum(values, 0)) if self.log else values).astype(np.float64)
        return Scale.of(values[~np.isnan(values)])

    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """See `FeatureType.look_up`: the number, or its logarithm, `[n]`."""
        del shared
        return {"value": tf.math.log1p(tf.maximum(raw, 0.0)) if self.log else raw}

    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """See `FeatureType.encode`: channels alone."""
        value, scale = parts["value"], shared.scales[self.column]
        return Contribution(channels=number_channels(value, tf.math.is_nan(value), scale.mean, scale.deviation))


def number_channels(
    value: tf.Tensor, absent: tf.Tensor, mean: float | tf.Tensor, deviation: float | tf.Tensor
) -> tf.Tensor:
    """Standardise numbers `[…]`, some of them `absent` `[…]`, into channels `[…, 4]`.

    `mean` and `deviation` are those of all, or one for each number. The channels are the value, cut at four deviations,
    its square, its sign (smoothed), and whether it is absent.
    """
    z = tf.where(absent, tf.zeros_like(value), (value - mean) / deviation)
    z = tf.clip_by_value(z, -4.0, 4.0)
    return tf.stack([z, z * z / 4.0, tf.tanh(3.0 * z), tf.cast(absent, tf.float32)], -1)
