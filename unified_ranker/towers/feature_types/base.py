"""Contract of a feature type: all that the project does with a column of items or users that a tower reads."""

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
    """Layers that features of every tower share, and the scales of the numbers of this one.

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
        vector: is added to an item's vector, `[n, dim]`; None: nothing is. A user's state is no sum, and takes none.
        channels: go into the tower's dense layer beside those of the other features, `[n, channels]`; None: none do.
    """

    vector: tf.Tensor | None = None
    channels: tf.Tensor | None = None


class FeatureType(Declaration, ABC):
    """Declaration of a feature, and what its type does in every part of the project.

    A subclass declares `type: Literal["name"]` and settings, all read from YAML. Its module must be importable without
    TensorFlow (see `towers.tensorflow`): the ranking service reads declarations where there is none.

    Attributes:
        holds: what a value is, as an error says it: "a number".
        dtype: TensorFlow's name of the type of the served input, "string" or "float32".
        listed: whether a row holds several values: arrays are `[n, width]`, padded with "" or NaN.
        reads_text: whether it goes through the shared text encoder. Then its input is one text a row, by which the
            encoder is trained, too, and its contribution a vector alone, which is worked out once where the encoder no
            longer changes.
    """

    holds: ClassVar[str]
    dtype: ClassVar[str]
    listed: ClassVar[bool] = False
    reads_text: ClassVar[bool] = False

    type: str
    column: str
    """Column of the table."""

    # --- tables ---------------------------------------------------------------------------------------------------

    @classmethod
    @abstractmethod
    def fits(cls, column: pd.Series) -> bool:
        """Tell whether a column of a canonical table (see `log.schema`) holds what the type takes; nulls are absent."""

    @classmethod
    @abstractmethod
    def accepts(cls, value: object) -> bool:
        """Tell whether a value that is not null, as JSON has it, is one of the type."""

    @classmethod
    def strays(cls, column: pd.Series) -> pd.Series:
        """Return the few values that keep a column from fitting, where most would do; empty by default."""
        return column.head(0)

    @abstractmethod
    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """Make a column of a canonical table from values of JSON or of a Parquet row; None is absent."""

    @abstractmethod
    def read(self, column: pd.Series) -> np.ndarray:
        """Turn a column of a canonical table into the served input `[n]` or `[n, width]`; "" and NaN are absent."""

    # --- what the fit window knows --------------------------------------------------------------------------------

    def categories(self, column: pd.Series) -> set[str]:
        """Return the values of a column that get a row in the shared table of categories; none by default."""
        del column
        return set()

    def scale(self, column: pd.Series) -> Scale | None:
        """Return mean and deviation of a column, by which `encode` scales it; None by default."""
        del column
        return None

    # --- the graph ------------------------------------------------------------------------------------------------

    @abstractmethod
    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """Turn the served input into parts that stay the same while training, each with a row a value, `[n, …]`."""

    @abstractmethod
    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """Turn the parts that `look_up` returned into the feature's part of the vector."""


ITEM_FEATURES: Kinds[FeatureType] = Kinds("item feature")
"""Types that `features` in towers/item.yaml may declare."""

USER_FEATURES: Kinds[FeatureType] = Kinds("profile feature")
"""Types that `profile` in towers/user.yaml may declare."""
