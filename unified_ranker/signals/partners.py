"""Base of the signals of item pairs: counts as of the example in training, a table of partners in serving."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

import numpy as np

from unified_ranker.core.arrays import MISSING
from unified_ranker.signals.base import SignalRequest
from unified_ranker.signals.partner_table import PartnerTable, side_by_side, sums_of
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.tensorflow import tf


class PartnerSignal(TableSignal, ABC):
    """Numbers of (origin, candidate) pairs, summed over the origins: items that the request starts from.

    In training they are as of the example, so that no example sees itself; a served graph reads them from a table as of
    the end of the fit window.

    Attributes:
        shared: number of origins among which the proposals are divided; more of them have fewer each.
    """

    shared = 1

    def __init__(self, starts: np.ndarray, partners: np.ndarray, counts: np.ndarray, proposed: int) -> None:
        """Store the table for serving.

        Args:
            starts: where each item's partners begin, `[items + 2]`; the last row, of no item, is empty.
            partners: item indices `[pairs]`, the strongest of an item first.
            counts: counts or shares of each pair, `[pairs, n]`.
            proposed: how many of the strongest partners become candidates.
        """
        super().__init__()
        self._proposed, self._items = proposed, len(starts) - 2
        self.pairs = PartnerTable(starts, partners, counts)

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return [*self.pairs.variables, *super().variables]

    @abstractmethod
    def origins(self, request: SignalRequest) -> tf.Tensor:
        """Return the items `[batch, origins]` that a request starts from; -1 where there is none."""

    @abstractmethod
    def as_of(self, origins: np.ndarray, candidates: np.ndarray, time: np.ndarray) -> np.ndarray:
        """Return the channels `[batch, candidates, channels]`, float32, as of `time` `[batch]` (seconds)."""

    @abstractmethod
    def summands(self, counts: tf.Tensor, origins: tf.Tensor) -> tf.Tensor:
        """Return the terms to be summed over origins, `[batch, origins, n, k]`, from the counts of `n` partners."""

    @abstractmethod
    def channels_of(self, sums: tf.Tensor) -> tf.Tensor:
        """Return the channels from the sums `[batch, candidates, k]`."""

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        origins = self.origins(request)
        if time is not None:
            flat = tf.numpy_function(self.as_of, [origins, candidates, time], tf.float32)
            return tf.ensure_shape(flat, [None, None, len(self.channels)])
        partners, counts = self.pairs.of(origins, self.pairs.widest)
        batch, width = tf.shape(partners)[0], tf.shape(partners)[1] * tf.shape(partners)[2]
        values = self.summands(counts, origins)
        values = tf.reshape(values, [batch, width, values.shape[-1]])
        return self.channels_of(sums_of(candidates, tf.reshape(partners, [batch, width]), values, self._items))

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the strongest partners of each origin, in equal numbers."""
        origins = self.origins(request)
        each = min(self._proposed // self.shared, self.pairs.widest)
        partners, _ = self.pairs.of(origins, each)
        most = each * self.shared
        share = most // tf.maximum(tf.math.count_nonzero(origins >= 0, 1, dtype=tf.int32), self.shared)
        rank = tf.range(tf.shape(partners)[2])
        own = tf.where(rank < share[:, None, None], tf.cast(partners, tf.int64), tf.constant(MISSING, tf.int64))
        flat = tf.pad(side_by_side(own), [[0, 0], [0, most]], constant_values=MISSING)
        order = tf.argsort(tf.cast(flat < 0, tf.int32), axis=1, stable=True)[:, :most]
        return tf.ensure_shape(tf.gather(flat, order, batch_dims=1), [None, most])
