"""Signal `same_category`: whether the candidate is of the categories of the user's last items."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalKind, SignalRequest
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.tensorflow import tf


@SIGNALS.declare
class SameCategory(SignalKind):
    """Share of the user's last items whose first category is the candidate's."""

    type: Literal["same_category"]
    window: int = Field(5, ge=1)
    """Last events of the user that are read."""
    candidates: int = Field(4, ge=0)
    """Items of the last item's category that it proposes."""

    @property
    def events_read(self) -> int:
        """See `SignalKind.events_read`."""
        return self.window

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        return Need("items have categories", bool(first_category(log.items).notna().any()), "no item has one")

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return SameCategorySignal(self, inputs.prepared.items)


class SameCategorySignal(TableSignal):
    """One channel; nothing that it reads changes with time, but the user's own events."""

    channels = ("same category",)

    def __init__(self, config: SameCategory, items: pd.DataFrame) -> None:
        """Keep the category of each item, and the first items of each category."""
        super().__init__()
        self.config = config
        numbers, names = pd.factorize(first_category(items))
        # Behind the last item stands the one that the catalogue lacks: -1 is of no category.
        self.category = self.table("category", np.append(numbers, -1).astype(np.int64))
        members = np.full((len(names) + 1, config.candidates), -1, np.int64)
        for number in range(len(names)):
            found = np.flatnonzero(numbers == number)[: config.candidates]
            members[number, : len(found)] = found
        self.members = self.table("members", members)

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        past = self._category(request.last(self.config.window)[0])
        own = self._category(candidates)
        same = (own[:, :, None] == past[:, None]) & (past >= 0)[:, None]
        return tf.reduce_sum(tf.cast(same, tf.float32), 2, keepdims=True) / self.config.window

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`."""
        # The last row has no members: it is that of no category.
        found = tf.gather(self.members, self._category(request.recent[:, 0]) % tf.shape(self.members, tf.int64)[0])
        return tf.ensure_shape(found, [None, self.config.candidates])

    def _category(self, items: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.category, tf.where(items < 0, tf.size(self.category, tf.int64) - 1, items))


def first_category(items: pd.DataFrame) -> pd.Series:
    """Return the first category of each item; null where it has none."""
    if "categories" not in items:
        return pd.Series(None, items.index, dtype=object)
    return items["categories"].map(lambda given: given[0] if given is not None and len(given) else None)
