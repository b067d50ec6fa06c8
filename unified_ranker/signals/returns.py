"""Signal `returns`: the chance that the user comes back to an earlier item, from the counts and times of its events."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

import numpy as np
from pydantic import Field

from unified_ranker.core.arrays import MISSING, Floats, Ints, Mask
from unified_ranker.core.times import HOUR
from unified_ranker.signals.base import SIGNALS, Signal, SignalInputs, SignalRequest
from unified_ranker.signals.history_kind import HistoryKind
from unified_ranker.signals.partner_table import strongest, sums_of
from unified_ranker.signals.past import PastItems
from unified_ranker.towers.tensorflow import tf

_REQUESTS = 2000
"""Largest number of a task's requests that the chances are fitted on."""
LEAST_RETURNS = 50
"""Number of returns to earlier items below which a task has no fit."""
_CHUNK = 64
_PENALTY = 1e-4
_CLOSE = 4.0
"""Concentration of the kernel (von Mises) by which events at similar times of the day or the week count: an event two
hours of the day apart counts .59, four .14."""
_PRIOR = 0.2
"""Weight of one more event at a similar time, where there are few."""
_RATIO_KNOTS = np.linspace(-3.0, 3.0, 13)
"""Knots of log2 (age of the last event / mean interval): 0 is when the item is due."""
_AGE_KNOTS = np.arange(16.0)
"""Knots of log2 (1 + hours since the last event): up to four years."""
_NUMBERS = 7
INPUTS = _NUMBERS + 1 + len(_RATIO_KNOTS) + len(_AGE_KNOTS)
"""Inputs of a chance."""


@SIGNALS.declare
class Returns(HistoryKind):
    """Chance that the user comes back to the candidate, from the counts and times of the user's events on it."""

    type: Literal["returns"]
    window: int = Field(1000, ge=1)
    """Last events of the user that are read."""
    candidates: int = Field(100, ge=0)
    """Candidates that it proposes: the user's items with the highest chance."""

    def build(self, inputs: SignalInputs) -> Signal:
        """See `SignalKind.build`."""
        weights = [self._weights(inputs, task) for task in inputs.tasks]
        return ReturnSignal(np.stack([nothing(), *weights]), self.window, self.candidates, len(inputs.prepared.items))

    def _weights(self, inputs: SignalInputs, task: str) -> Floats:
        """Fit the chances of a task's requests in the fit window, `[INPUTS + 1]`."""
        past = inputs.prepared.between(None, inputs.end)
        own = past.take((past.task == task) & (past.user != MISSING) & (past.item != MISSING))
        # The positives of one user and moment are answers to one request: a basket.
        moments = np.unique(np.stack([own.user, own.timestamp], 1), axis=0)
        if len(moments) > _REQUESTS:
            moments = moments[np.sort(np.random.default_rng(0).permutation(len(moments))[:_REQUESTS])]
        items = len(inputs.prepared.items)
        chosen = set(zip(own.user.tolist(), own.timestamp.tolist(), own.item.tolist(), strict=True))
        reader = PastItems(inputs.prepared.histories, self.window)
        seen: list[Floats] = []
        came: list[Mask] = []
        for start in range(0, len(moments), _CHUNK):
            user, time = moments[start : start + _CHUNK].T
            recent, recent_time = reader.before(user, time)
            earlier = earlier_items(recent, items)
            numbers = chance_inputs(recent, recent_time, time, earlier, items).numpy()
            row, column = np.nonzero(earlier != MISSING)
            item = earlier[row, column]
            pairs = zip(user[row].tolist(), time[row].tolist(), item.tolist(), strict=True)
            seen.append(numbers[row, column])
            came.append(np.array([pair in chosen for pair in pairs], bool))
        if sum(int(part.sum()) for part in came) < LEAST_RETURNS:
            return nothing()
        return fit_chances(np.concatenate(seen), np.concatenate(came))


class ReturnSignal(Signal):
    """One channel: log1p of the odds that the user comes back to an earlier item, by the mean odds; 0 for other items.

    The log-odds are a sum of smooth functions (a generalised additive model), fitted by logistic regression on the fit
    window, for each task: of how often the user had the item, and how long ago; of the hours since, and of these by the
    mean interval, since what is bought every two weeks is due after two (Bhagat et al., Buy it again, KDD 2018); and of
    how much of it was at this time of the day and of the week. Fitted at the end of the fit window: the blend alone
    reads it. Stock TensorFlow ops only.
    """

    channels = ("chance",)
    learnt = False

    def __init__(self, weights: Floats, window: int, proposed: int, items: int) -> None:
        """Keep weights `[tasks + 1, INPUTS + 1]`, those of the constant last; see `fit_chances`."""
        self.weights = tf.Variable(weights.astype(np.float32), trainable=False, name="chances")
        self._window, self._proposed, self._items = window, proposed, items

    @property
    def variables(self) -> Sequence[tf.Variable]:
        """See `Signal.variables`."""
        return (self.weights,)

    def features(self, request: SignalRequest, candidates: tf.Tensor, time: tf.Tensor | None) -> tf.Tensor:
        """See `Signal.features`; the events of a request are those before it."""
        del time
        recent, times = request.last(self._window)
        return self._chances(request, recent, times, candidates)[..., None]

    def proposals(self, request: SignalRequest) -> tf.Tensor:
        """See `Signal.proposals`: the user's earlier items with the highest chance."""
        recent, times = request.last(self._window)
        # One event for each item, the newest.
        once = tf.where(of_events(recent, times).newest, recent, tf.constant(MISSING, tf.int64))
        chances = self._chances(request, recent, times, once)
        return tf.ensure_shape(strongest(once, chances, self._items, self._proposed), [None, self._proposed])

    def _chances(self, request: SignalRequest, recent: tf.Tensor, times: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        weights = tf.gather(self.weights, request.task)
        inputs = chance_inputs(recent, times, request.timestamp, candidates, self._items)
        odds = tf.einsum("bni,bi->bn", inputs, weights[:, :-1]) + weights[:, -1:]
        # An item that the user had has an input above 0; all inputs of other items are 0.
        return tf.where(tf.reduce_any(inputs != 0, -1), tf.nn.softplus(odds), 0.0)


class EventNumbers(NamedTuple):
    """Numbers of the events among a user's last ones, `[batch, events]` each.

    Attributes:
        newest: whether it is the last on its item.
        oldest: whether it is the first on its item.
        visit: whether it is the first event in the list with its item and second.
        later: number of distinct later seconds with events of the user, on any item.
    """

    newest: tf.Tensor
    oldest: tf.Tensor
    visit: tf.Tensor
    later: tf.Tensor


def of_events(recent: tf.Tensor, times: tf.Tensor) -> EventNumbers:
    """Number the events of items `[batch, events]`, newest first (-1 = none), at `times` (seconds)."""
    order = tf.argsort(recent, axis=1, stable=True)
    back = tf.argsort(order, axis=1)
    items, moments = tf.gather(recent, order, batch_dims=1), tf.gather(times, order, batch_dims=1)
    same = items[:, 1:] == items[:, :-1]
    newest = ~tf.pad(same, [[0, 0], [1, 0]])
    oldest = ~tf.pad(same, [[0, 0], [0, 1]])
    visit = ~tf.pad(same & (moments[:, 1:] == moments[:, :-1]), [[0, 0], [1, 0]])
    there = recent != MISSING
    step = tf.pad(tf.cast(times[:, 1:] != times[:, :-1], tf.float32), [[0, 0], [1, 0]])
    newest, oldest, visit = (there & tf.gather(mark, back, batch_dims=1) for mark in (newest, oldest, visit))
    return EventNumbers(newest, oldest, visit, tf.cumsum(step, axis=1))


def chance_inputs(recent: tf.Tensor, times: tf.Tensor, now: tf.Tensor, candidates: tf.Tensor, items: int) -> tf.Tensor:
    """Return the inputs of the chances, `[batch, n, INPUTS]`; 0 for candidates that the user never had.

    Args:
        recent: the user's last items `[batch, events]`, newest first; -1 where there are fewer.
        times: of these events, seconds `[batch, events]`.
        now: time of the request, seconds `[batch]`.
        candidates: item indices `[batch, n]`.
        items: number of items in the catalogue.
    """
    recent, candidates = tf.convert_to_tensor(recent), tf.convert_to_tensor(candidates)
    times, now = tf.convert_to_tensor(times), tf.convert_to_tensor(now)
    events = of_events(recent, times)
    hours = tf.cast(tf.maximum(now[:, None] - times, 0), tf.float32) / HOUR
    late = tf.math.rsqrt(1.0 + hours)
    newest, oldest, visit = (tf.cast(mark, tf.float32) for mark in (events.newest, events.oldest, events.visit))
    day, week = (tf.exp(_CLOSE * (tf.cos(2 * np.pi / period * (hours % period)) - 1.0)) for period in (24.0, 168.0))
    last, first = newest * hours, oldest * hours
    values = tf.stack([tf.ones_like(hours), visit, late, newest * events.later, last, first, day, week], -1)
    count, visits, of_late, later, age, first, day, week = tf.unstack(
        sums_of(candidates, recent, values, items), axis=-1
    )
    there = tf.cast(recent != MISSING, tf.float32)
    all_visits = 1.0 + tf.reduce_max(there * events.later, 1, keepdims=True)
    interval = (first - age) / tf.maximum(visits - 1.0, 1.0)
    had, often = count > 0, visits > 1
    some = tf.where(had, visits, 1.0)
    numbers = [
        1.0 + tf.math.log(some),
        tf.math.log(tf.where(had, count, 1.0)),
        tf.math.log(tf.where(had, of_late, 1.0)),
        tf.math.log(some / all_visits),
        tf.math.log1p(later),
        tf.math.log((day + _PRIOR) / (count + 1.0)),
        tf.math.log((week + _PRIOR) / (count + 1.0)),
    ]
    ratio = tf.math.log((age + 1.0) / (interval + 1.0)) / np.log(2.0)
    due = _hats(ratio, _RATIO_KNOTS) * tf.cast(often, tf.float32)[..., None]
    ages = _hats(tf.math.log1p(age) / np.log(2.0), _AGE_KNOTS)
    inputs = tf.concat([tf.stack([*numbers, tf.cast(often, tf.float32)], -1), due, ages], -1)
    return tf.where(had[..., None], inputs, 0.0)


def _hats(values: tf.Tensor, knots: np.ndarray) -> tf.Tensor:
    """Return the weights of linear interpolation between equidistant `knots`, `[..., knots]`."""
    width = float(knots[1] - knots[0])
    clipped = tf.clip_by_value(values, float(knots[0]), float(knots[-1]))
    return tf.maximum(1.0 - tf.abs(clipped[..., None] - tf.constant(knots, tf.float32)) / width, 0.0)


def earlier_items(recent: Ints, items: int) -> Ints:
    """Return the distinct items of each row of `recent` `[n, events]`, ascending, `[n, most]`; -1 behind them."""
    ordered = np.sort(np.where(recent == MISSING, items, recent), 1)
    first = np.concatenate([np.ones((len(ordered), 1), bool), ordered[:, 1:] != ordered[:, :-1]], 1)
    once = np.sort(np.where(first, ordered, items), 1)
    once = np.where(once == items, MISSING, once)
    return once[:, : max(int((once != MISSING).sum(1).max(initial=0)), 1)]


def fit_chances(inputs: Floats, returned: Mask) -> Floats:
    """Fit a logistic regression; returns the weights `[INPUTS + 1]` of the inputs `[n, INPUTS]`, then the constant.

    The constant is less the log-odds of all rows: a sum of 0 stands for the mean chance.
    """
    from scipy.optimize import minimize

    came = returned.astype(np.float64)
    mean = came.mean()

    def loss(weights: np.ndarray) -> tuple[float, np.ndarray]:
        odds = inputs @ weights[:-1].astype(np.float32) + weights[-1]
        lost = np.logaddexp(0, odds) - came * odds
        apart = (1 / (1 + np.exp(-odds)) - came) / len(came)
        slope = np.append(apart.astype(np.float32) @ inputs, apart.sum())
        penalty = np.append(weights[:-1], 0.0)
        return float(lost.mean() + _PENALTY * penalty @ penalty), slope + 2 * _PENALTY * penalty

    begin = np.append(np.zeros(inputs.shape[1]), np.log(mean / (1 - mean)) if mean < 1 else 0.0)
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", options={"maxiter": 200}).x
    found[-1] -= begin[-1]
    return found.astype(np.float32)


def nothing() -> Floats:
    """Return the weights of a task without chances: the odds of every item are e^-100."""
    weights = np.zeros(INPUTS + 1, np.float32)
    weights[-1] = -100.0
    return weights
