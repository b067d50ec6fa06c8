"""Feature type `categories`: a column that holds a list of categories."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd
from pydantic import Field

from unified_ranker.log.column_types import LIST_SEPARATOR
from unified_ranker.prepare.vocabulary import frequent
from unified_ranker.towers.feature_types.base import ITEM_FEATURES, Contribution, FeatureType, SharedEncoders
from unified_ranker.towers.tensorflow import tf


@ITEM_FEATURES.declare
class CategoriesFeature(FeatureType):
    """A column that holds a list of categories."""

    holds: ClassVar[str] = "a list of texts"
    dtype: ClassVar[str] = "string"
    listed: ClassVar[bool] = True

    type: Literal["categories"]
    min_count: int = Field(1, ge=1)
    """Values with fewer rows are unknown."""

    @classmethod
    def fits(cls, column: pd.Series) -> bool:
        """See `FeatureType.fits`."""
        return pd.api.types.is_object_dtype(column.dtype) and all(cls.accepts(v) for v in column[column.notna()])

    @classmethod
    def accepts(cls, value: object) -> bool:
        """See `FeatureType.accepts`."""
        return isinstance(value, list) and all(isinstance(v, str) for v in value)

    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """See `FeatureType.to_column`; text has the categories between `|`, as in a table."""
        return pd.Series([_listed(value) for value in values], dtype=object)

    def read(self, column: pd.Series) -> np.ndarray:
        """See `FeatureType.read`."""
        return _padded([[] if v is None else [str(x) for x in v] for v in column])

    def categories(self, column: pd.Series) -> set[str]:
        """See `FeatureType.categories`."""
        return frequent((v for row in column for v in row), self.min_count)

    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """See `FeatureType.look_up`: rows of the table of categories, `[n, width]`."""
        return {"rows": shared.categories.index(self.column, raw)}

    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """See `FeatureType.encode`: the mean of the vectors, as a summand and as channels."""
        return Contribution.both(shared.categories.mean(parts["rows"]))


def _listed(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(LIST_SEPARATOR) if part.strip()]
    return [str(part) for part in value] if isinstance(value, list | tuple | np.ndarray) else []


def _padded(rows: list[list[str]]) -> np.ndarray:
    """Return lists of strings as one array `[rows, longest]`, padded by ""."""
    width = max((len(r) for r in rows), default=0) or 1
    out = np.full((len(rows), width), "", object)
    for number, row in enumerate(rows):
        out[number, : len(row)] = row
    return out
