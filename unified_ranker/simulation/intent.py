"""Intent of a request: the probability of each segment, given the request's fields and the user's taste.

These rules define the marketplace: the simulator draws from them, and the truth is computed with them.
"""

from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.simulation.world import OWN_WORD, WORDS_OF_CATEGORY, WORDS_OF_SEGMENT, World

HOME_FOCUS, SEARCH_FOCUS = 6.0, 2.5
"""Strength of the user's taste in a request: high for a feed, lower for a search, which may be for anything."""
STAYS = 0.7
"""Share of "more like this" that stays in the source item's segment; the rest moves to its neighbours."""
QUERY_WORDS = 2


@dataclass(frozen=True)
class Wanted:
    """Taste behind requests, `[n, DIM]`, and their times, seconds `[n]`."""

    taste: Floats
    time: Ints


def at_home(world: World, wanted: Wanted, focus: float = HOME_FOCUS) -> Floats:
    """Return the probability of each segment with neither query nor source item, `[n, segments]`."""
    logits = focus * (wanted.taste @ world.segments.taste.T)
    if world.spec.switches.seasonality:
        logits += world.season_of(wanted.time)
    logits -= logits.max(1, keepdims=True)
    np.exp(logits, out=logits)
    logits /= logits.sum(1, keepdims=True)
    return logits


def in_search(world: World, wanted: Wanted, words: Ints) -> Floats:
    """Return the probability of each segment given a query's words `[n, words]` (-1 = none), `[n, segments]`."""
    chance = at_home(world, wanted, SEARCH_FOCUS)
    table = world.word_likelihood
    for column in words.T:
        given = column >= 0
        chance[given] *= table[column[given]]
    total = chance.sum(1, keepdims=True)
    return np.where(total > 0, chance / np.maximum(total, 1e-30), 1.0 / world.spec.segments).astype(np.float32)


def beside(world: World, wanted: Wanted, source: Ints) -> Floats:
    """Return the probability of each segment given source items `[n]` (indices), `[n, segments]`."""
    segment = world.items.segment[source]
    near = world.segments.neighbours[segment]
    pull = 3.0 * np.einsum("nd,nkd->nk", wanted.taste, world.segments.taste[near])
    pull = np.exp(pull - pull.max(1, keepdims=True))
    out = np.zeros((len(source), world.spec.segments), np.float32)
    np.put_along_axis(out, near, ((1 - STAYS) * pull / pull.sum(1, keepdims=True)).astype(np.float32), 1)
    out[np.arange(len(source)), segment] += STAYS
    return out


def draw_queries(world: World, segment: Ints, rng: np.random.Generator) -> Ints:
    """Draw the words of queries that look for segments `[n]`, `[n, QUERY_WORDS]`; the second is -1 half of the time."""
    shape = (len(segment), QUERY_WORDS)
    own = rng.integers(0, WORDS_OF_SEGMENT, shape)
    shared = WORDS_OF_SEGMENT + rng.integers(0, WORDS_OF_CATEGORY, shape)
    words = world.segments.words[segment[:, None], np.where(rng.random(shape) < OWN_WORD, own, shared)]
    words[rng.random(len(segment)) < 0.5, 1] = -1
    if not world.spec.switches.queries:
        words[:] = -1
    return words
