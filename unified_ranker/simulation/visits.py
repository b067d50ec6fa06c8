"""Draws of requests: their users, times, surfaces, wanted segments, queries and source items."""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.times import DAY, HOUR
from unified_ranker.simulation.choices import Shelves
from unified_ranker.simulation.intent import SEARCH_FOCUS, Wanted, at_home, beside, draw_queries
from unified_ranker.simulation.spec import TASKS
from unified_ranker.simulation.world import World

ANONYMOUS_SHARE = 0.03
ANONYMOUS_BUDGET = 3.5


@dataclass(frozen=True)
class Requests:
    """Requests in order of time, columns `[n]`; `user` -1 is anonymous, `source` -1 none, `words` `[n, 2]` -1 none.

    `segment` is the wanted one, which no log shows.
    """

    user: Ints
    country: Ints
    time: Ints
    task: Ints
    segment: Ints
    words: Ints
    source: Ints
    taste: Floats
    budget: Floats

    def __len__(self) -> int:
        """Return the number of requests."""
        return len(self.user)


class Visitors:
    """Draws of users by their activity, among those that exist at the time."""

    def __init__(self, world: World) -> None:
        """Accumulate the activity of users, who are in order of creation."""
        self._created = world.users.created
        self._sums = np.concatenate([[0.0], np.cumsum(world.users.activity.astype(np.float64))])

    def draw(self, time: Ints, rng: np.random.Generator) -> Ints:
        """Draw a user for each time (seconds)."""
        there = np.searchsorted(self._created, time, side="right")
        point = rng.random(len(time)) * self._sums[there]
        return np.minimum(np.searchsorted(self._sums, point, side="right") - 1, there - 1)


def draw_requests(world: World, shelves: Shelves, visitors: Visitors, time: Ints, rng: np.random.Generator) -> Requests:
    """Draw a request for each time (seconds, ascending)."""
    count, switches = len(time), world.spec.switches
    shares = np.array([world.spec.shares.get(name, 0.0) for name in TASKS])
    task = rng.choice(len(TASKS), count, p=shares / shares.sum())
    user = visitors.draw(time, rng)
    country = world.users.country[user]
    if switches.anonymous:
        user = np.where(rng.random(count) < ANONYMOUS_SHARE, -1, user)
    wanted = Wanted(world.taste(user, country, time), time)
    words = np.full((count, 2), -1, np.int64)
    source, segment = np.full(count, -1, np.int64), np.zeros(count, np.int64)
    for number, name in enumerate(TASKS):
        rows = np.flatnonzero(task == number)
        if not len(rows):
            continue
        part = Wanted(wanted.taste[rows], time[rows])
        if name == "home_feed":
            segment[rows] = _pick(at_home(world, part), rng)
        elif name == "search":
            segment[rows] = _pick(at_home(world, part, SEARCH_FOCUS), rng)
            words[rows] = draw_queries(world, segment[rows], rng)
        else:
            source[rows] = shelves.draw(_pick(at_home(world, part), rng), time[rows], 1, rng)[:, 0]
            segment[rows] = _pick(beside(world, part, source[rows]), rng)
    budget = np.where(user >= 0, world.users.budget[np.maximum(user, 0)], ANONYMOUS_BUDGET).astype(np.float32)
    return Requests(user, country, time, task, segment, words, source, wanted.taste, budget)


def draw_times(world: World, part: int, parts: int, count: int, rng: np.random.Generator) -> Ints:
    """Draw `count` times in the `part`-th of `parts` slices of the log that hold equally many requests, ascending.

    Evenings and weekends are busier; with the season switched off every hour is the same.
    """
    hours = world.spec.days * DAY // HOUR
    hour = np.arange(hours)
    busy = np.ones(hours)
    if world.spec.switches.seasonality:
        busy += 0.7 * np.cos(2 * np.pi * (hour % 24 - 20) / 24) + 0.3 * (hour // 24 % 7 >= 5)
    sums = np.concatenate([[0.0], np.cumsum(busy)]) / busy.sum()
    point = (part + np.sort(rng.random(count))) / parts
    return (world.start + np.interp(point, sums, np.arange(hours + 1) * HOUR)).astype(np.int64)


def _pick(chance: Floats, rng: np.random.Generator) -> Ints:
    """Draw a column for each row of probabilities `[n, columns]`."""
    sums = np.cumsum(chance, axis=1)
    point = rng.random(len(chance), np.float32) * sums[:, -1]
    return (sums > point[:, None]).argmax(1)
