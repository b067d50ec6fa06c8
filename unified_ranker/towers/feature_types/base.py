"""Contract of a feature type: how a column of items or users is checked, read, looked up and encoded."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pandas as pd

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds
from unified_ranker.prepare.vocabulary import Scale
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from unified_ranker.towers.category_table import CategoryTable
    from unified_ranker.towers.text.base import TextEncoder


@dataclass(frozen=True)
class SharedEncoders:
    """Layers that the features of all towers share, and the scales of one tower's numbers.

    Attributes:
        text: the encoder of titles and queries; None in the user tower.
        categories: the one table of categories.
        scales: by column.
    """

    text: TextEncoder | None
    categories: CategoryTable
    scales: Mapping[str, Scale]


@dataclass(frozen=True)
class Contribution:
    """Part of a feature in a tower's vector.

    Attributes:
        vector: summand of an item's vector, `[n, dim]`; None: none. The user tower ignores it.
        channels: inputs of the tower's dense layer, beside those of the other features, `[n, channels]`; None: none.
    """

    vector: tf.Tensor | None = None
    channels: tf.Tensor | None = None

    @classmethod
    def both(cls, vector: tf.Tensor) -> Contribution:
        """Return a vector `[n, dim]` that is a summand, and gives the channels."""
        return cls(vector, vector)


class FeatureType(Declaration, ABC):
    """Declaration of a feature, with the steps that depend on its type.

    A subclass declares `type: Literal["name"]` and settings, all read from YAML. Its module must be importable without
    TensorFlow (see `towers.tensorflow`): the ranking service reads declarations where there is none.

    Attributes:
        holds: description of a value for error messages, such as "a number".
        dtype: TensorFlow's name of the type of the served input, "string" or "float32".
        listed: whether a row holds several values: arrays are `[n, width]`, padded with "" or NaN.
        reads_text: whether the shared text encoder reads it. If so, its input is one text a row, on which the encoder
            is trained, too, and its contribution is a vector alone, which is computed once if the encoder is frozen.
    """

    holds: ClassVar[str]
    dtype: ClassVar[str]
    listed: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False

    type: str
    column: str
    """Column of the table."""
    known_before: bool = False
    """Whether its values were known before the events of the log, so that `validate` need not ask whether they count
    them."""

    # --- tables ---------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def fits(cls, column: pd.Series) -> bool:
        """Tell whether a column of a canonical table (see `log.schema`) holds what the type takes; nulls are absent."""

    @classmethod
    @abstractmethod
    def accepts(cls, value: object) -> bool:
        """Tell whether a value of JSON that is not null has the type."""

    @classmethod
    def strays(cls, column: pd.Series) -> pd.Series:
        """Return the few values that keep a column from fitting, if most values fit; empty by default."""
        return column.head(0)

    @abstractmethod
    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """Make a column of a canonical table from values of JSON or of a Parquet row; None is absent."""

    @abstractmethod
    def read(self, column: pd.Series) -> np.ndarray:
        """Turn a column of a canonical table into the served input `[n]` or `[n, width]`; "" and NaN are absent."""

    # --- statistics of the fit window -----------------------------------------------------------------------------

    def categories(self, column: pd.Series) -> set[str]:
        """Return the values of a column that get a row in the shared table of categories; none by default."""
        del column
        return set()

    def scale(self, column: pd.Series) -> Scale | None:
        """Return mean and standard deviation of a column, with which `encode` scales it; None by default."""
        del column
        return None

    # --- the graph ------------------------------------------------------------------------------------------------

    @abstractmethod
    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """Turn the served input into parts that training does not change, with one row for each value, `[n, …]`."""

    @abstractmethod
    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """Turn the parts that `look_up` returned into the feature's contribution to the tower's vector."""


ITEM_FEATURES: Kinds[FeatureType] = Kinds("item feature")
"""Types that `features` in towers/item.yaml may declare."""

USER_FEATURES: Kinds[FeatureType] = Kinds("profile feature")
"""Types that `profile` in towers/user.yaml may declare."""
