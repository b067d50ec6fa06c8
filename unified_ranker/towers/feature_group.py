"""Features of a tower as one group: from the rows of its table to the inputs of its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from unified_ranker.config.kinds import Kinds
from unified_ranker.towers.feature_types.base import Contribution, FeatureType, SharedEncoders
from unified_ranker.towers.tensorflow import tf


@dataclass(frozen=True, eq=False)
class FeatureParts:
    """Features of some rows after look-up: their parts, named "column/part", each `[n, …]`."""

    parts: Mapping[str, tf.Tensor]

    def at(self, rows: tf.Tensor) -> FeatureParts:
        """Return the rows `rows` `[m]`."""
        return FeatureParts({name: tf.gather(part, rows) for name, part in self.parts.items()})


class FeatureGroup:
    """Declared features of one tower, with the layers that all towers share."""

    def __init__(self, features: Sequence[FeatureType], shared: SharedEncoders) -> None:
        """Group `features` in the order of their declaration."""
        self._features, self._shared = tuple(features), shared

    def look_up(self, fields: Mapping[str, tf.Tensor]) -> FeatureParts:
        """Look up served inputs by column."""
        return FeatureParts(
            {
                f"{feature.column}/{part}": value
                for feature in self._features
                for part, value in feature.look_up(fields[feature.column], self._shared).items()
            }
        )

    def contributions(self, looked_up: FeatureParts, reads_text: bool | None = None) -> Iterator[Contribution]:
        """Yield the contribution of each feature, from the result of `look_up`.

        `reads_text` selects the features that the text encoder reads (True), or the others (False); None: all.
        """
        for feature in self._features:
            if reads_text is None or feature.reads_text == reads_text:
                yield feature.encode(_parts_of(feature, looked_up), self._shared)

    def without_texts(self, looked_up: FeatureParts) -> FeatureParts:
        """Return the parts that the text encoder does not read."""
        texts = [feature for feature in self._features if feature.reads_text]
        read = {f"{feature.column}/{part}" for feature in texts for part in _parts_of(feature, looked_up)}
        return FeatureParts({name: part for name, part in looked_up.parts.items() if name not in read})


def fitting_types(column: pd.Series, kinds: Kinds[FeatureType]) -> tuple[str, ...]:
    """Return the names of the types that a column of a canonical table can be declared as."""
    return tuple(name for name, kind in kinds.items() if kind.fits(column))


def _parts_of(feature: FeatureType, looked_up: FeatureParts) -> dict[str, tf.Tensor]:
    prefix = f"{feature.column}/"
    return {name.removeprefix(prefix): part for name, part in looked_up.parts.items() if name.startswith(prefix)}
