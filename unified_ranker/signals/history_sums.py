"""Base of the signals that sum weights of pairs of items over a user's whole history."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from unified_ranker.signals.base import Signal, SignalInputs, SignalRequest
from unified_ranker.signals.first_occurrences import once
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.later_events import later_events
from unified_ranker.signals.partner_table import PartnerTable, side_by_side, strongest
from unified_ranker.signals.ragged_rows import strongest_of
from unified_ranker.towers.tensorflow import tf

if TYPE_CHECKING:
    from scipy import sparse

_DECAYS = (1.0, 0.95, 0.7)
"""Factors by which an item of the history counts less with each later item: the whole history equally, about the last
twenty, about the last three. Items of one second count alike. The blend fits their weights."""
_PROPOSING = 20
"""Number of last items whose partners are proposed; features count the partners of all items."""


class HistorySumsKind(HistoryKind, ABC):
    """Declaration of a signal that sums weights of pairs over the user's history."""

    window: int = Field(100, ge=1)
    """Last events of the user that are read."""
    neighbours: int = Field(100, ge=1)
    """Partners that are kept for an item, those with the largest weights."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        return HistorySums(*strongest_of(self.pairs(inputs), self.neighbours), self.window, self.candidates)

    @abstractmethod
    def pairs(self, inputs: SignalInputs) -> sparse.csr_array:
        """Return the weight of each candidate (column) for a user of an item (row), `[items, items]`."""


class HistorySums(Signal):
    """Sums of pairs' weights over the user's items, each item once, and the pair with the source item.

    One channel for each of `_DECAYS`, and one of the source item. The weights are those of the end of the fit window,
    which contain the training examples, so the head does not learn from it.
    """

    channels = ("whole history", "last twenty", "last three", "source item")
    learnt = False

    def __init__(
        self, starts: np.ndarray, partners: np.ndarray, weights: np.ndarray, window: int, proposed: int
    ) -> None:
        """Keep the table.

        Args:
            starts: where the partners of each item of a history begin, `[items + 2]`; the last row is empty.
            partners: item indices `[pairs]`.
            weights: of each pair, `[pairs]`.
            window: last events of a user that are read.
            proposed: candidates that it proposes.
        """
        self.pairs = PartnerTable(starts, partners, weights[:, None])
        self._items, self._window, self._proposed = len(starts) - 2, window, proposed

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return self.pairs.variables

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        origins, weights = self._origins(request, self._window)
        return self.pairs.weighted_sums(candidates, origins, weights)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the highest sums over the last items, the source item among them."""
        origins, weights = self._origins(request, _PROPOSING)
        partners, values = self.pairs.of(origins, self.pairs.widest)
        values = values[..., 0] * tf.reduce_max(weights[:, :, 1:], -1)[:, :, None]
        found = strongest(side_by_side(partners), side_by_side(values), self._items, self._proposed)
        return tf.ensure_shape(found, [None, self._proposed])

    def _origins(self, request: SignalRequest, most: int) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the items `[batch, n]` that a request comes from, each once, and their weights `[batch, n, channels]`.

        The source item is the first, with the weight 1 in its own channel alone.
        """
        recent, times = request.last(most)
        # The newest event on a repeated item counts.
        origins = once(recent, self._items)
        distance = tf.cast(later_events(times), tf.float32)
        fading = [tf.pow(tf.constant(fade), distance) for fade in _DECAYS]
        weights = tf.stack([*fading, tf.zeros_like(distance)], -1)
        own = tf.constant([[[*[0.0] * len(_DECAYS), 1.0]]]) * tf.ones_like(weights[:, :1])
        own = tf.broadcast_to(own, [tf.shape(recent)[0], 1, len(self.channels)])
        return tf.concat([request.source_item[:, None], origins], 1), tf.concat([own, weights], 1)
