"""Feature type `text`: a text column, read by the shared text encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
import pandas as pd

from unified_ranker.towers.feature_types.base import ITEM_FEATURES, Contribution, FeatureType, SharedEncoders
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import TextEncoder, Tokens


@ITEM_FEATURES.declare
class TextFeature(FeatureType):
    """A text column, read by the shared text encoder."""

    holds: ClassVar[str] = "a text"
    dtype: ClassVar[str] = "string"
    reads_text: ClassVar[bool] = True

    type: Literal["text"]

    @classmethod
    def fits(cls, column: pd.Series) -> bool:
        """See `FeatureType.fits`."""
        return isinstance(column.dtype, pd.StringDtype)

    @classmethod
    def accepts(cls, value: object) -> bool:
        """See `FeatureType.accepts`."""
        return isinstance(value, str)

    def to_column(self, values: Sequence[Any]) -> pd.Series:
        """See `FeatureType.to_column`."""
        return pd.Series(values, dtype=object).astype("string")

    def read(self, column: pd.Series) -> np.ndarray:
        """See `FeatureType.read`."""
        return column.fillna("").to_numpy(object)

    def look_up(self, raw: tf.Tensor, shared: SharedEncoders) -> dict[str, tf.Tensor]:
        """See `FeatureType.look_up`: the encoder's tokens."""
        return dict(_encoder(shared).tokenise(raw).parts)

    def encode(self, parts: Mapping[str, tf.Tensor], shared: SharedEncoders) -> Contribution:
        """See `FeatureType.encode`: the text's vector, so that a word has the same direction as in a query."""
        return Contribution(vector=_encoder(shared).embed(Tokens(parts)))


def _encoder(shared: SharedEncoders) -> TextEncoder:
    if shared.text is None:
        raise ValueError("a text feature needs the text encoder, which this tower does not have.")
    return shared.text
