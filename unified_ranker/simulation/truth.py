"""Best reachable ranking of a simulated log: every item by its true chance to be the one engaged with.

A positive of the log is an item that was drawn for the wanted segment, looked at and clicked (or bought). Its chance is
P(segment | request) · exposure weight within the segment · P(click) · (1 + P(purchase)). The request's fields, the
user's taste and the marketplace's rules are all known here, so no model can rank better on average. Only the random
draws are unknown.
"""

import numpy as np

from unified_ranker.core.arrays import MISSING, Floats, Ints
from unified_ranker.prepare.examples import Examples
from unified_ranker.prepare.prepared import Prepared
from unified_ranker.simulation.choices import Shelves, buy_chance, click_chance
from unified_ranker.simulation.intent import Wanted, at_home, beside, in_search
from unified_ranker.simulation.visits import ANONYMOUS_BUDGET
from unified_ranker.simulation.world import WORLD_COUNTRIES, World


class Truth:
    """Scorer of the whole catalogue of a prepared log, by the truth of the marketplace that made it.

    It follows `evaluation.protocol.Scorer`; its NDCG is the ceiling of the log.
    """

    name = "truth (best reachable)"
    note = "knows the simulated marketplace; a model can be better only by chance"

    def __init__(self, world: World, prepared: Prepared) -> None:
        """Find the log's items and users in `world`."""
        self._world, self._shelves = world, Shelves(world)
        self._items = numbers_of(prepared.item_ids)
        self._users = np.append(numbers_of(prepared.user_ids), MISSING)
        self._words = {word: n for n, word in enumerate(world.words.tolist())}
        items = np.arange(world.spec.items)
        self._worth = (1.0 + buy_chance(world, items)).astype(np.float32)

    def score(self, requests: Examples) -> Floats:
        """Return the log probability of every item, `[requests, items]`; -inf where it is 0."""
        user, time = self._users[requests.user], requests.timestamp
        country = np.array(
            [WORLD_COUNTRIES.index(c) if c in WORLD_COUNTRIES else 0 for c in requests.country.tolist()], np.int64
        )
        taste = self._world.taste(user, country, time)
        budget = np.where(user >= 0, self._world.users.budget[np.maximum(user, 0)], ANONYMOUS_BUDGET)
        segment = self.segments(requests, Wanted(taste, time))
        out = exposure(self._world, self._shelves, segment, time)
        out *= click_chance(self._world, taste, budget.astype(np.float32))
        out *= self._worth
        with np.errstate(divide="ignore"):
            return np.log(out[:, self._items])

    def segments(self, requests: Examples, wanted: Wanted) -> Floats:
        """Return the chance that each segment is wanted, `[requests, segments]`, by the rule of the request's task."""
        out = np.zeros((len(requests), self._world.spec.segments), np.float32)
        source = np.where(requests.source_item == MISSING, MISSING, self._items[requests.source_item])
        for task in np.unique(requests.task.astype(str)).tolist():
            rows = np.flatnonzero(requests.task == task)
            part = Wanted(wanted.taste[rows], wanted.time[rows])
            if task == "search":
                out[rows] = in_search(self._world, part, self._word_numbers(requests.query[rows]))
            elif task == "more_like_this":
                out[rows] = beside(self._world, part, source[rows])
            else:
                out[rows] = at_home(self._world, part)
        return out

    def _word_numbers(self, queries: np.ndarray) -> Ints:
        """Return the word numbers of queries, `[n, longest]`; -1 for unknown words and padding."""
        found = [[self._words.get(word, -1) for word in query.split()] for query in queries.tolist()]
        width = max((len(row) for row in found), default=0) or 1
        return np.array([row + [-1] * (width - len(row)) for row in found], np.int64).reshape(len(found), width)


def exposure(world: World, shelves: Shelves, segment: Floats, time: Ints) -> Floats:
    """Return the chance that a slate's position holds each item, `[n, items]`, given the segments' `[n, segments]`."""
    every = np.arange(world.spec.segments)
    low, high = shelves.bounds(np.tile(every, len(time)), np.repeat(time, len(every)))
    share = segment / (high - low).reshape(segment.shape)
    out = share[:, world.items.segment].astype(np.float32) * world.items.weight
    out[world.items.created[None] > time[:, None]] = 0.0
    return out


def numbers_of(ids: np.ndarray) -> Ints:
    """Return the indices in the world of ids such as `i0000012`."""
    return np.array([int(name[1:]) for name in ids.tolist()], np.int64)
