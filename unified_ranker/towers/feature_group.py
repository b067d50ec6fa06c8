"""Features of a tower, all together: from the rows of its table to what its layers take."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from unified_ranker.config.kinds import Kinds
from unified_ranker.towers.feature_types.base import Contribution, FeatureType, SharedEncoders
from unified_ranker.towers.tensorflow import tf


class FeatureGroup:
    """The declared features of one tower, over the layers that all towers share."""

    def __init__(self, features: Sequence[FeatureType], shared: SharedEncoders) -> None:
        """Group `features` in the order of their declaration."""
        self._features, self._shared = tuple(features), shared

    def look_up(self, fields: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        """Look served inputs up by column; returns the parts of all features, named "column/part"."""
        return {
            f"{feature.column}/{part}": value
            for feature in self._features
            for part, value in feature.look_up(fields[feature.column], self._shared).items()
        }

    def contributions(
        self, looked_up: Mapping[str, tf.Tensor], reads_text: bool | None = None
    ) -> Iterator[Contribution]:
        """Yield what each feature contributes, from what `look_up` returned.

        `reads_text` picks those that go through the text encoder, or those that do not; None takes all.
        """
        for feature in self._features:
            if reads_text is None or feature.reads_text == reads_text:
                yield feature.encode(_parts_of(feature, looked_up), self._shared)

    def texts_among(self, looked_up: Mapping[str, tf.Tensor]) -> set[str]:
        """Return the names of the parts that go through the text encoder."""
        texts = [feature for feature in self._features if feature.reads_text]
        return {f"{feature.column}/{part}" for feature in texts for part in _parts_of(feature, looked_up)}


def read_features(table: pd.DataFrame, features: Iterable[FeatureType]) -> dict[str, np.ndarray]:
    """Return the served inputs of a table's rows by column: "" and NaN where absent."""
    return {feature.column: feature.read(table[feature.column]) for feature in features}


def fitting_types(column: pd.Series, kinds: Kinds[FeatureType]) -> tuple[str, ...]:
    """Return the names of the types that a column of a canonical table can be declared as."""
    return tuple(name for name, kind in kinds.items() if kind.fits(column))


def _parts_of(feature: FeatureType, looked_up: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
    prefix = f"{feature.column}/"
    return {name.removeprefix(prefix): value for name, value in looked_up.items() if name.startswith(prefix)}
