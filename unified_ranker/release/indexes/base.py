"""Contract of an index: it finds the items whose vectors have the highest dot product with a query's."""

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

        An approximate index that finds fewer fills a row up with scores of NaN.
        """


class IndexKind(Declaration, ABC):
    """Declaration of an index in export/embeddings.yaml, which writes it and opens it again.

    A subclass declares `type: Literal["name"]` and settings. Its module must be importable without the library that
    searches: a release with another index is opened where there is none.
    """

    type: str

    def chosen_for(self, items: int) -> IndexKind:
        """Return the declaration of what is built over so many items; itself, unless it is a choice of others."""
        del items
        return self

    @abstractmethod
    def build(self, directory: Path, vectors: np.ndarray) -> dict[str, int | float | str]:
        """Write the index of `vectors` `[items, width]`, float32, into `directory`, which is renamed afterwards.

        Returns:
            What a reader of the release's manifest should know of it, and what `load` needs; not `type`, `items` and
            `width`, which are known of every index. The files index.json and ids.json are written by others.

        Raises:
            UserError: there can be no such index over these vectors.
        """

    @classmethod
    @abstractmethod
    def load(cls, directory: Path, vectors: np.ndarray, settings: Mapping[str, Any]) -> Index:
        """Open what `build` wrote over the same `vectors` and returned as `settings`."""


INDEXES: Kinds[IndexKind] = Kinds("index")
"""Kinds that `index` in export/embeddings.yaml may declare."""
