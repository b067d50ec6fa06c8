"""Feature type `category`: a column with one category a row."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from unified_ranker.prepare.vocabulary import frequent
from unified_ranker.towers.feature_types.base import (
    ITEM_FEATURES,
    USER_FEATURES,
    Contribution,
    FeatureType,
    SharedEncoders,
)
from unified_ranker.towers.tensorflow import tf


@USER_FEATURES.declare
@ITEM_FEATURES.declare
class CategoryFeature(FeatureType):
    """A column with one category a row."""

    holds: ClassVar[str] = "a text"
    dtype: ClassVar[str] = "string"

    type: Literal["category"]
    min_count: int = Field(1, ge=1)
    """Values with fewer rows are unknown."""

    @classmethod
    def fits(cls, column: pd.Series) -> bool:
        """See `FeatureType.fits`: also whole numbers and truth values, which are read as text."""
        kind = column.dtype
        return (
            isinstance(kind, pd.StringDtype) or pd.api.types.is_integer_dtype(kind) or pd.api.types.is_bool_dtype(kind)
        )

    @classmethod
    def accepts(cls, value: object) -> bool:
        """See `FeatureType.accepts`."""
        return isinstance(value, str)

    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """See `FeatureType.to_column`."""
        return pd.Series(values, dtype=object).astype("string")

    def read(self, column: pd.Series) -> np.ndarray:
        """See `FeatureType.read`."""
        return column.astype("string").fillna("").to_numpy(object)

    def categories(self, column: pd.Series) -> set[str]:
        """See `FeatureType.categories`."""
        return frequent(column.dropna().astype(str), self.min_count)

    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """See `FeatureType.look_up`: rows of the table of categories, `[n, 1]`."""
        return {"rows": shared.categories.index(self.column, raw)[:, None]}

    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """See `FeatureType.encode`: the category's vector, as a summand and as channels."""
        return Contribution.both(shared.categories.mean(parts["rows"]))
