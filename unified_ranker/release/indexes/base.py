"""Contract of an index: a search for the items whose vectors have the highest dot product with a query's."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from unified_ranker.config.declaration import Declaration
from unified_ranker.config.kinds import Kinds


class Index(ABC):
    """Finds the items with the highest dot product. Scores are those of the stored vectors."""

    @abstractmethod
    def search(self, queries: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
        """Return item positions and scores, both `[batch, min(k, items)]`, best first, for queries `[batch, width]`.

        An approximate index that finds fewer pads a row with scores of NaN.
        """


class IndexKind(Declaration, ABC):
    """Declaration of an index in export/embeddings.yaml, which builds and loads it.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without the search
    library, because releases with other indexes are opened where the library is not installed.
    """

    type: str

    def chosen_for(self, items: int) -> IndexKind:
        """Return the declaration of the index that is built over `items` items: itself, unless it chooses another."""
        del items
        return self

    @abstractmethod
    def build(self, directory: Path, vectors: np.ndarray) -> dict[str, int | float | str]:
        """Write the index of `vectors` `[items, width]`, float32, into `directory`, which is renamed afterwards.

        Returns:
            Settings for the manifest and for `load`, without `type`, `items` and `width`, which every index has. The
            caller writes the files index.json and ids.json.

        Raises:
            UserError: this kind of index cannot be built over these vectors.
        """

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, vectors: np.ndarray, settings: Mapping[str, Any]) -> Index:
        """Open the index that `build` wrote over the same `vectors`, with the `settings` that it returned."""


INDEXES: Kinds[IndexKind] = Kinds("index")
"""Kinds that `index` in export/embeddings.yaml may declare."""
