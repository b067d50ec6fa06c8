"""Retrieval index of a release: its files and their description."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict

from unified_ranker.core.errors import UserError
from unified_ranker.release.indexes.base import INDEXES, Index, IndexKind

INDEX_DESCRIPTION = "index.json"
IDS = "ids.json"


class IndexDescription(BaseModel):
    """Retrieval index as its directory and the manifest describe it; further fields are those of its kind.

    Attributes:
        type: kind of the index.
        items: number of items.
        width: of the vectors.
    """

    model_config = ConfigDict(frozen=True, extra="allow")

    type: str
    items: int
    width: int

    @property
    def settings(self) -> dict[str, Any]:
        """Settings that the kind of the index returned when it was built; see `IndexKind.build`."""
        return dict(self.model_extra or {})

    @classmethod
    def read(cls, directory: Path) -> "IndexDescription":
        """Read the description that `build_index` wrote into a directory."""
        return cls.model_validate_json((directory / INDEX_DESCRIPTION).read_text(encoding="utf-8"))


def build_index(directory: Path, item_ids: np.ndarray, vectors: np.ndarray, declared: IndexKind) -> IndexDescription:
    """Write the index of `vectors` `[items, width]` into `directory`; returns its description, which is stored too."""
    chosen = declared.chosen_for(len(item_ids))
    settings = chosen.build(directory, vectors)
    description = IndexDescription(type=chosen.type, items=len(item_ids), width=int(vectors.shape[1]), **settings)
    (directory / INDEX_DESCRIPTION).write_text(description.model_dump_json(indent=2), encoding="utf-8")
    (directory / IDS).write_text(json.dumps(list(item_ids)), encoding="utf-8")
    return description


def load_index(directory: Path, vectors: np.ndarray) -> Index:
    """Open the index in `directory` over the release's `vectors` `[items, width]`.

    Raises:
        UserError: when index and vectors do not belong together, or the kind of the index is not registered.
    """
    description = IndexDescription.read(directory)
    if (description.items, description.width) != vectors.shape:
        raise UserError(
            f"`{directory}` must index the vectors of its release. Received: an index of {description.items} x "
            f"{description.width} beside vectors of {vectors.shape[0]} x {vectors.shape[1]}. Export again."
        )
    return INDEXES[description.type].load(directory, vectors, description.settings)
