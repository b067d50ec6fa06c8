"""Embedder of a few users or items at a time, in the space of the store, for `refresh`."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd

from unified_ranker.core.arrays import Floats
from unified_ranker.core.request import History, Request, to_arrays
from unified_ranker.export.embedding import item_batches
from unified_ranker.store.alignment import VectorSpace
from unified_ranker.towers.served_columns import table_of_items
from unified_ranker.vectors.embedded_release import EmbeddedRelease
from unified_ranker.vectors.embedding_source import user_task
from unified_ranker.vectors.saved_towers import load_towers


class Embedder:
    """Towers of a release, and the map into the space of a version."""

    def __init__(self, release: EmbeddedRelease, space: VectorSpace) -> None:
        """Load the towers, which a process shares."""
        self.config, self._space = release.config, space
        self._towers = load_towers(release.directory)
        self._task = user_task(self.config)

    def users(self, ids: Sequence[str], histories: Sequence[History], times: Sequence[int]) -> Floats:
        """Return vectors `[n, width]` of users from their events strictly before `times`, in seconds."""
        parts, size, user = [], self.config.export.embeddings.users.batch_size, self.config.towers.user
        asked = [
            Request(name, self._task, timestamp=int(time), history=history)
            for name, history, time in zip(ids, histories, times, strict=True)
        ]
        for at in range(0, len(asked), size):
            parts.append(
                self._towers.requests(to_arrays(asked[at : at + size], user.history_length, user.history_events))
            )
        return self._mapped(parts)

    def items(self, rows: pd.DataFrame) -> Floats:
        """Return vectors `[n, width]` of rows of a table of items, as `item_table` makes them."""
        return self._mapped([self._towers.items(batch) for batch in item_batches(rows, self.config)])

    def item_table(self, fields: Mapping[str, Mapping[str, Any]]) -> pd.DataFrame:
        """Return items by id as a table with every column that the item tower reads; absent fields are null."""
        return table_of_items(fields, self.config.towers.item.features)

    def _mapped(self, parts: list[Floats]) -> Floats:
        return self._space.apply(np.concatenate(parts)) if parts else np.zeros((0, len(self._space.transform)), "f4")
