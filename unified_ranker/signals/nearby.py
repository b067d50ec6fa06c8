"""Signal `nearby`: how near an item's place is to the places of the user's last items and of the source item."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pandas as pd
from pydantic import Field

from unified_ranker.config import Config
from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.core.times import HOUR
from unified_ranker.log.need import Need
from unified_ranker.log.schema import InteractionLog
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalRequest
from unified_ranker.signals.first_occurrences import once_of_few
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.partner_table import side_by_side
from unified_ranker.signals.tables import TableSignal
from unified_ranker.towers.known_rows import known_rows
from unified_ranker.towers.tensorflow import tf

_RADIUS = 6371.0
"""Mean radius of the earth in kilometres."""
_BLUR = 0.05
"""Kilometres below which distances hardly differ: two places on one street corner are as near as one is to itself."""
_FARTHEST = 2 * _RADIUS
"""Distance in kilometres that counts as 0: through the earth."""
_PROPOSING = 3
"""Last items whose neighbours are proposed, beside those of the source item."""


@SIGNALS.declare
class Nearby(HistoryKind):
    """Distances from the candidate to the places of the user's last items and of the source item, by coordinates."""

    type: Literal["nearby"]
    latitude: str = "latitude"
    """Column of items with the latitude in degrees."""
    longitude: str = "longitude"
    """Column of items with the longitude in degrees."""
    window: int = Field(20, ge=1)
    """Last events of the user that are read."""
    neighbours: int = Field(30, ge=1)
    """Nearest items that are kept for an item."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes."""

    def need(self, config: Config, log: InteractionLog) -> Need:
        """See `SignalKind.need`."""
        del config
        known = bool(np.isfinite(self.points(log.items)).all(1).any())
        columns = f"`{self.latitude}` and `{self.longitude}`"
        return Need("items have coordinates", known, f"no item has numbers in {columns}")

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        points = self.points(inputs.prepared.items)
        return NearbySignal(points, nearest_items(points, self.neighbours), self.window, self.candidates)

    def points(self, items: pd.DataFrame) -> Floats:
        """Return the places of items as points in space, kilometres from the earth's centre `[items, 3]`.

        Differences of points need no trigonometry, and stay exact to a metre in 32 bits. NaN where an item has no
        coordinates.
        """
        blank = pd.Series(np.nan, items.index)
        degrees = (pd.to_numeric(items.get(name, blank), errors="coerce") for name in (self.latitude, self.longitude))
        latitude, longitude = (np.radians(column.to_numpy(np.float64, na_value=np.nan)) for column in degrees)
        width = np.cos(latitude)
        point = [width * np.cos(longitude), width * np.sin(longitude), np.sin(latitude)]
        return (_RADIUS * np.stack(point, 1)).astype(np.float32)


class NearbySignal(TableSignal):
    """Nearness of places: the logarithm of the farthest distance over the distance, 0 where a place is unknown.

    Four channels: to the place of the user's last event, of several in one second the nearest; to the nearest of the
    last places; the mean over the last places, by how lately the user was there, which has no scale that a city or a
    continent would have to set; and to the source item. Places do not change, so training and serving see the same.
    """

    channels = ("last place", "nearest of the last", "mean of the last", "source item")

    def __init__(self, points: Floats, neighbours: Ints, window: int, proposed: int) -> None:
        """Keep tables.

        Args:
            points: place of each item, kilometres `[items, 3]`; NaN = unknown.
            neighbours: nearest items of each, nearest first, `[items, n]`; -1 where there are fewer.
            window: last events of a user that are read.
            proposed: candidates that it proposes.
        """
        super().__init__()
        self._window, self._proposed = window, proposed
        # The last row is that of unknown items.
        self.points = self.table("points", np.pad(points, [(0, 1), (0, 0)], constant_values=np.nan))
        near = np.pad(neighbours, [(0, 1), (0, 0)], constant_values=MISSING)
        self.neighbours = self.table("neighbours", near.astype(np.int32))

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`."""
        del time
        recent, times = request.last(self._window)
        near = self._nearness(candidates, tf.concat([request.source_item[:, None], recent], 1))
        source, last = near[..., 0], near[..., 1:]
        hours = tf.maximum(request.timestamp[:, None] - times, 0) / HOUR
        known = tf.math.is_finite(self._points_of(recent)[..., 0])
        late = tf.where(known, tf.math.rsqrt(1.0 + tf.cast(hours, tf.float32)), 0.0)
        late = late / tf.maximum(tf.reduce_sum(late, 1, keepdims=True), 1e-9)
        mean = tf.einsum("bne,be->bn", last, late)
        # Of the places of the newest second none is the last.
        newest = times[:, None] == times[:, None, :1]
        newest = tf.reduce_max(tf.where(newest, last, tf.zeros_like(last)), 2)
        return tf.stack([newest, tf.reduce_max(last, 2), mean, source], -1)

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the nearest of the source item and of the last items, in turns."""
        recent, _ = request.last(min(_PROPOSING, self._window))
        origins = once_of_few(tf.concat([request.source_item[:, None], recent], 1))
        near = tf.gather(self.neighbours, known_rows(self.neighbours, origins))
        turns = side_by_side(tf.transpose(near, [0, 2, 1]))
        # There are as many origins as the history is long.
        padded = tf.pad(tf.cast(turns, tf.int64), [[0, 0], [0, self._proposed]], constant_values=MISSING)
        return tf.ensure_shape(padded[:, : self._proposed], [None, self._proposed])

    def _nearness(self, items: tf.Tensor, others: tf.Tensor) -> tf.Tensor:
        """Return the nearness of `items` `[batch, n]` and `others` `[batch, m]`, `[batch, n, m]`."""
        # Each coordinate by itself: a sum over an axis of three takes twice as long.
        axes = zip(*(tf.unstack(self._points_of(part), axis=-1) for part in (items, others)), strict=True)
        squared = tf.add_n([tf.math.squared_difference(own[:, :, None], other[:, None]) for own, other in axes])
        near = 0.5 * tf.math.log((_FARTHEST**2 + _BLUR**2) / (squared + _BLUR**2))
        return tf.where(tf.math.is_finite(near), near, 0.0)

    def _points_of(self, items: tf.Tensor) -> tf.Tensor:
        return tf.gather(self.points, known_rows(self.points, items))


def nearest_items(points: Floats, count: int) -> Ints:
    """Return the `count` nearest other items of each, nearest first, `[items, count]`; -1 where there are fewer.

    Args:
        points: place of each item, `[items, 3]`; NaN = unknown, which is near to none.
        count: number of neighbours.
    """
    from scipy.spatial import cKDTree

    located = np.flatnonzero(np.isfinite(points).all(1))
    near = np.full((len(points), count), MISSING, np.int64)
    if len(located) < 2:
        return near
    _, found = cKDTree(points[located]).query(points[located], k=min(count + 1, len(located)))
    # Where several items have one place, an item need not be the first of its own neighbours: a stable sort puts it
    # last and keeps the others in order.
    own = found == np.arange(len(located))[:, None]
    order = np.argsort(own, axis=1, kind="stable")[:, :count]
    found = np.take_along_axis(found, order, 1)[:, : min(count, len(located) - 1)]
    near[located, : found.shape[1]] = located[found]
    return near
