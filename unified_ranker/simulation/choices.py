"""Choices of simulated users: slates, looks, clicks and purchases."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.times import DAY
from unified_ranker.simulation.world import World

CLICK_BASE, QUALITY_PULL, TASTE_PULL, PRICE_PUSH = -2.2, 0.8, 2.0, 0.5
BUY_BASE, BUY_QUALITY = -1.8, 0.6
LOOK_DECAY = 0.7
"""Position bias: a user looks at the position after j others with the chance (1 + j) ** -0.7."""


class Shelves:
    """Items of each segment in order of creation, from which slates are drawn by exposure weight as of a time."""

    def __init__(self, world: World) -> None:
        """Sort the items of `world` into their segments."""
        items = world.items
        self.order = np.lexsort((items.created, items.segment))
        created = items.created[self.order]
        self._low, self._span = int(created.min()), world.end - int(created.min()) + DAY
        self._keys = items.segment[self.order] * self._span + (created - self._low)
        self.sums = np.concatenate([[0.0], np.cumsum(items.weight[self.order].astype(np.float64))])
        self._begin = np.searchsorted(items.segment[self.order], np.arange(world.spec.segments + 1))

    def bounds(self, segment: Ints, time: Ints) -> tuple[Floats, Floats]:
        """Return the cumulative weight before the first and after the last item that exist in segments at times."""
        end = np.searchsorted(self._keys, segment * self._span + (time - self._low), side="right")
        return self.sums[self._begin[segment]], self.sums[end]

    def draw(self, segment: Ints, time: Ints, count: int, rng: np.random.Generator) -> Ints:
        """Draw `count` items for each segment and time by weight, with replacement, `[n, count]`."""
        low, high = self.bounds(segment, time)
        point = low[:, None] + rng.random((len(segment), count)) * (high - low)[:, None]
        at = np.searchsorted(self.sums, point, side="right") - 1
        return self.order[np.minimum(at, len(self.order) - 1)]


@dataclass(frozen=True)
class SlateOutcomes:
    """Outcomes of slates `[n, slate]`: which positions were shown, clicked and bought."""

    shown: npt.NDArray[np.bool_]
    clicked: npt.NDArray[np.bool_]
    bought: npt.NDArray[np.bool_]


def looks(world: World, positions: int) -> Floats:
    """Return the chance that each position of a slate is looked at, `[positions]`."""
    decay = LOOK_DECAY if world.spec.switches.position_bias else 0.0
    return ((1.0 + np.arange(positions)) ** -decay).astype(np.float32)


def click_chance(world: World, taste: Floats, budget: Floats, item: Ints | None = None) -> Floats:
    """Return the chance of a click on items that are looked at and of the wanted segment, `[n, items]`.

    Args:
        world: the marketplace.
        taste: taste vector of each request, `[n, DIM]`.
        budget: log price that each request likes best, `[n]`.
        item: indices of items, `[n, items]`; None for the whole catalogue.
    """
    items = world.items
    if item is None:
        liking, quality, price = taste @ items.style.T, items.quality[None], items.log_price[None]
    else:
        liking = np.einsum("nd,nkd->nk", taste, items.style[item])
        quality, price = items.quality[item], items.log_price[item]
    away = price - budget[:, None]
    return _sigmoid(CLICK_BASE + QUALITY_PULL * quality + TASTE_PULL * liking - PRICE_PUSH * away**2)


def buy_chance(world: World, item: Ints) -> Floats:
    """Return the chance that a click on an item leads to a purchase, in the shape of `item`."""
    if not world.spec.switches.purchases:
        return np.zeros(item.shape, np.float32)
    return _sigmoid(BUY_BASE + BUY_QUALITY * world.items.quality[item])


def react(
    world: World, taste: Floats, budget: Floats, slate: Ints, source: Ints, rng: np.random.Generator
) -> SlateOutcomes:
    """Draw the clicks and purchases on slates `[n, slate]` whose items are all of the wanted segment.

    An item that a slate holds twice is shown once, at its first position; the source item `[n]` (-1 = none) is not.
    """
    order = np.argsort(slate, axis=1, kind="stable")
    ordered = np.take_along_axis(slate, order, 1)
    again = np.zeros(slate.shape, bool)
    np.put_along_axis(again, order[:, 1:], ordered[:, 1:] == ordered[:, :-1], 1)
    again |= slate == source[:, None]
    chance = click_chance(world, taste, budget, slate) * looks(world, slate.shape[1])
    clicked = (rng.random(slate.shape, np.float32) < chance) & ~again
    bought = clicked & (rng.random(slate.shape, np.float32) < buy_chance(world, slate))
    return SlateOutcomes(~again, clicked, bought)


def _sigmoid(x: Floats) -> Floats:
    return (1.0 / (1.0 + np.exp(-x))).astype(np.float32)
