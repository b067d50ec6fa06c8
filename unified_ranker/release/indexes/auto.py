"""Index `auto`: exact for a small catalogue, ScaNN for a large one."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
from pydantic import Field

from unified_ranker.release.indexes.base import INDEXES, Index, IndexKind
from unified_ranker.release.indexes.exact import ExactIndex
from unified_ranker.release.indexes.scann import SCANN_LEAST, ScannIndex


@INDEXES.declare
class AutoIndex(IndexKind):
    """Exact below `scann_from` items, ScaNN from there on."""

    type: Literal["auto"] = "auto"
    scann_from: int = Field(20_000, ge=1)
    """Items from which on ScaNN is used."""

    def chosen_for(self, items: int) -> IndexKind:
        """See `IndexKind.chosen_for`; ScaNN cannot be trained on very few items."""
        enough = items >= max(self.scann_from, SCANN_LEAST)
        return ScannIndex(type="scann") if enough else ExactIndex(type="exact")

    def build(self, directory: Path, vectors: np.ndarray) -> dict[str, int | float | str]:
        """See `IndexKind.build`."""
        return self.chosen_for(len(vectors)).build(directory, vectors)

    @classmethod
    def load(cls, directory: Path, vectors: np.ndarray, settings: Mapping[str, Any]) -> Index:
        """Raise an error, because a stored index is `exact` or `scann`."""
        raise TypeError(f"`{directory}` must be loaded as `exact` or `scann`, the type in its index.json.")
