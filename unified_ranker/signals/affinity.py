"""Signal `affinity`: how much of the user's history has the candidate's categories, and whether the source item has."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Ints
from unified_ranker.core.times import NEVER
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalRequest
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.partner_table import strongest, sums_of
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf

_MOST_VALUES = 8
"""Values of a column that are read of an item, the first ones of a list."""
_LEAST_ITEMS = 2
"""Items that must have a value: that of a single item is the item itself."""
_FROM = 5
"""Categories of a request from which items are proposed, half of them the most chosen, half the newest."""


@SIGNALS.declare
class Affinity(HistoryKind):
    """Share of the user's last items, and of the source item, in the candidate's category; rare ones count for more."""

    type: Literal["affinity"]
    columns: tuple[str, ...] = Field(("categories",), min_length=1)
    """Columns of items with a category, or a list of them."""
    window: int = Field(100, ge=1)
    """Last events of the user that are read."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes: of the categories that count most, the most chosen and the newest items."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        shared = bool((values_of(log.items, self.columns)[0] != MISSING).any())
        listed = ", ".join(f"`{column}`" for column in self.columns)
        return Need("items share categories", shared, f"no two items have one value in {listed}")

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        prepared = inputs.prepared
        past = prepared.between(None, inputs.end)
        chosen = np.bincount(past.item[past.item != MISSING], minlength=len(prepared.items))
        values, widths = values_of(prepared.items, self.columns)
        return AffinitySignal(self, values, widths, chosen, prepared.created_at)


class AffinitySignal(TableSignal):
    """Two channels a column: the sum over the candidate's values of share in the history, and in the source item.

    A value counts by the logarithm of all items over those that have it, as in inverse document frequency. Categories
    do not change, so training and serving see the same; how often items were chosen decides proposals alone.
    """

    def __init__(self, config: Affinity, values: Ints, widths: Sequence[int], chosen: Ints, created_at: Ints) -> None:
        """Keep tables.

        Args:
            config: the declaration.
            values: numbers of each item's values, `[items, values]`; -1 where there are fewer.
            widths: how many slots of them belong to each column.
            chosen: how often each item was chosen, `[items]`.
            created_at: creation times, seconds `[items]`.
        """
        super().__init__()
        self.channels = tuple(f"{column}: {of}" for column in config.columns for of in ("history", "source item"))
        self._window, self._proposed, self._widths = config.window, config.candidates, list(widths)
        item, slot = np.nonzero(values != MISSING)
        value = values[item, slot]
        self._count = int(value.max(initial=-1)) + 1
        having = np.bincount(value, minlength=self._count + 1)
        self.values = self.table("values", np.pad(values, [(0, 1), (0, 0)], constant_values=MISSING).astype(np.int32))
        self.rarity = self.table("rarity", np.log1p(len(values) / np.maximum(having, 1)).astype(np.float32))
        self._each = -(-self._proposed // (2 * _FROM))
        often = np.lexsort((item, -chosen[item], value))
        self.often = self.table("often", self._first(value[often], item[often]))
        # By value, then by time: one binary search finds what a value had by a moment.
        newest = np.lexsort((item, created_at[item], value))
        newest = newest[created_at[item[newest]] > NEVER]
        dated = created_at[created_at > NEVER]
        self._low = int(dated.min()) if len(dated) else 0
        # One moment after the latest, so that a search for "after everything" still ends at the value's own items.
        self._span = int(dated.max()) - self._low + 2 if len(dated) else 1
        keys = value[newest] * self._span + (created_at[item[newest]] - self._low)
        self.keys = self.table("keys", keys.astype(np.int64))
        self.members = self.table("members", np.append(item[newest], MISSING).astype(np.int32))

    def _first(self, value: Ints, item: Ints) -> np.ndarray:
        """Return the first items of each value, `[values + 1, each]`; -1 where there are fewer."""
        rank = np.arange(len(value)) - np.searchsorted(value, value)
        kept = rank < self._each
        out = np.full((self._count + 1, self._each), MISSING, np.int32)
        out[value[kept], rank[kept]] = item[kept]
        return out

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        batch, width = tf.shape(candidates)[0], sum(self._widths)
        values, weights = self._asked(request)
        own = tf.gather(self.values, known_rows(self.values, candidates))
        flat = tf.reshape(tf.cast(own, tf.int64), [batch, -1])
        sums = tf.reshape(sums_of(flat, values, weights, self._count), [batch, -1, width, 2])
        sums *= tf.gather(self.rarity, tf.maximum(own, 0))[..., None]
        return tf.concat([tf.reduce_sum(part, 2) for part in tf.split(sums, self._widths, axis=2)], -1)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: of the values that count most, the most chosen and the newest, in turns."""
        values, weights = self._asked(request)
        worth = tf.reduce_sum(weights, -1) * tf.gather(self.rarity, tf.maximum(values, 0))
        best = strongest(values, worth, self._count, _FROM)
        row = tf.where(best < 0, tf.constant(self._count, tf.int64), best)
        often = tf.cast(tf.gather(self.often, row), tf.int64)
        both = tf.stack([often, self._newest(best, request.timestamp)], -1)
        turns = tf.reshape(tf.transpose(both, [0, 2, 1, 3]), [-1, self._each * _FROM * 2])
        return turns[:, : self._proposed]

    def _newest(self, values: tf.Tensor, time: tf.Tensor) -> tf.Tensor:
        """Return the last items created before `time` `[batch]` with each of `values` `[batch, n]`, `[batch, n, m]`."""
        moment = tf.clip_by_value(time - self._low, 0, self._span - 1)[:, None]
        begin, end = (
            tf.reshape(tf.searchsorted(self.keys, tf.reshape(key, [-1]), out_type=tf.int64), tf.shape(values))
            for key in (values * self._span, values * self._span + moment)
        )
        member = end[..., None] - tf.range(1, self._each + 1, dtype=tf.int64)
        there = (member >= begin[..., None]) & (values >= 0)[..., None]
        last = tf.shape(self.members, tf.int64)[0] - 1
        return tf.cast(tf.gather(self.members, tf.where(there, member, last)), tf.int64)

    def _asked(self, request: SignalRequest) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the values `[batch, n]` of source item and history, and how much each counts `[batch, n, 2]`."""
        recent, _ = request.last(self._window)
        items = tf.concat([request.source_item[:, None], recent], 1)
        values = tf.gather(self.values, known_rows(self.values, items))
        batch, slots = tf.shape(items)[0], tf.shape(items)[1] * values.shape[2]
        known = tf.maximum(tf.reduce_sum(tf.cast(recent >= 0, tf.float32), 1), 1.0)
        share = tf.broadcast_to(1.0 / known[:, None], tf.shape(recent))
        first = tf.concat([tf.ones([batch, 1]), tf.zeros_like(share)], 1)
        weights = tf.stack([tf.concat([tf.zeros([batch, 1]), share], 1), first], -1)
        weights = tf.repeat(weights, values.shape[2], 1)
        return tf.reshape(tf.cast(values, tf.int64), [batch, slots]), weights


def values_of(items: pd.DataFrame, columns: Sequence[str]) -> tuple[Ints, list[int]]:
    """Return numbers of the values of items in `columns`, and how many slots each column has.

    Values of several columns have different numbers. A value of one item alone has none.

    Returns:
        `[items, slots]`, -1 where an item has fewer; the slots of each column, at least 1.
    """
    parts, widths, first = [], [], 0
    for column in columns:
        listed = [_as_list(value) for value in items[column]] if column in items.columns else [[]] * len(items)
        row = np.repeat(np.arange(len(items)), [len(values) for values in listed])
        number, names = pd.factorize(np.array([value for values in listed for value in values], object))
        slot = np.arange(len(row)) - np.searchsorted(row, row)
        width = int(slot.max(initial=0)) + 1
        shared = np.bincount(number, minlength=len(names)) >= _LEAST_ITEMS
        renumbered = np.where(shared, np.cumsum(shared) - 1 + first, MISSING)
        part = np.full((len(items), width), MISSING, np.int64)
        part[row, slot] = renumbered[number]
        parts.append(part)
        widths.append(width)
        first += int(shared.sum())
    return np.concatenate(parts, 1), widths


def _as_list(value: object) -> list[str]:
    """Return the distinct values of a cell; none of an empty one."""
    if isinstance(value, (list, tuple, np.ndarray)):
        return list(dict.fromkeys(str(one) for one in value))[:_MOST_VALUES]
    return [] if pd.isna(value) else [str(value)]  # type: ignore[call-overload]  # any scalar, which pandas takes
