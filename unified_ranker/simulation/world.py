"""Truth of a marketplace: styles, words, items and users, with the properties that no log shows.

Every item belongs to a segment, a style among many; segments belong to categories. A segment has a point in taste
space and words of its own. All of it is drawn from the spec's seed, so the truth of a log can be reproduced.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt
import pandas as pd

from unified_ranker.core.arrays import Floats, Ints, Strings
from unified_ranker.core.times import DAY
from unified_ranker.simulation.spec import MarketplaceSpec

TASTE_DIM = 8
"""Width of taste space."""
CATEGORIES = (
    "bags", "books", "candles", "ceramics", "clocks", "coats", "furniture", "games", "garden", "glass",
    "jewellery", "kitchen", "lamps", "linen", "music", "paper", "prints", "shoes", "toys", "wool",
)  # fmt: skip
WORLD_COUNTRIES = ("DE", "GB", "US", "FR", "NL", "SE", "ES", "JP")
NEAREST_SEGMENTS = 4
"""Number of nearest segments to which "more like this" may lead, besides the source item's own."""
WORDS_OF_SEGMENT, WORDS_OF_CATEGORY, FILLERS = 6, 12, 200
OWN_WORD = 0.6
"""Chance that a word of a query belongs to the segment alone; the others are shared by its category."""
COLD_SHARE = 0.3
HISTORY_DAYS = 365
"""Days before the log in which its oldest items and users were created."""


@dataclass(frozen=True)
class SimulatedItems:
    """Items by index: `segment`, `created` (seconds), `quality`, `log_price`, `weight` (exposure), `style` [n, DIM]."""

    segment: Ints
    created: Ints
    quality: Floats
    log_price: Floats
    weight: Floats
    style: Floats
    words: Ints


@dataclass(frozen=True)
class SimulatedUsers:
    """Users by index, in order of creation: `country` (index), `created` (seconds), tastes `[n, DIM]`, and more.

    `drift` is the change of the taste until the last day; `budget` is the log price that is liked best; `activity` is
    the user's relative number of requests.
    """

    country: Ints
    created: Ints
    taste: Floats
    drift: Floats
    budget: Floats
    activity: Floats


@dataclass(frozen=True)
class Segments:
    """Styles by index: `taste` `[n, DIM]`, `category`, season (amplitude, phase), `neighbours` and words."""

    taste: Floats
    category: Ints
    season: Floats
    phase: Floats
    neighbours: Ints
    words: Ints


class World:
    """Marketplace with its truth, made from a spec."""

    def __init__(self, spec: MarketplaceSpec) -> None:
        """Draw segments, items and users."""
        self.spec = spec
        self.start = int(pd.Timestamp(spec.start).timestamp())
        self.end = self.start + spec.days * DAY
        self.segments = self._draw_segments(np.random.default_rng([spec.seed, 1]))
        self.items = self._draw_items(np.random.default_rng([spec.seed, 2]))
        self.users = self._draw_users(np.random.default_rng([spec.seed, 3]))

    @cached_property
    def words(self) -> Strings:
        """All words by number: those of segments, of categories, and fillers that mean nothing."""
        count = self.spec.segments * WORDS_OF_SEGMENT + len(CATEGORIES) * WORDS_OF_CATEGORY + FILLERS
        return np.array(_spell(count), object)

    @cached_property
    def item_ids(self) -> Strings:
        """Item ids by index."""
        return np.array([f"i{n:07d}" for n in range(self.spec.items)], object)

    @cached_property
    def user_ids(self) -> Strings:
        """User ids by index."""
        return np.array([f"u{n:07d}" for n in range(self.spec.users)], object)

    @cached_property
    def country_taste(self) -> Floats:
        """Taste of each country, `[countries, DIM]`; zero where countries are switched off."""
        drawn = _unit(np.random.default_rng([self.spec.seed, 4]).normal(size=(len(WORLD_COUNTRIES), TASTE_DIM)))
        return (drawn * (0.6 if self.spec.switches.countries else 0.0)).astype(np.float32)

    @cached_property
    def word_likelihood(self) -> Floats:
        """Chance of each word in a query for each segment, `[words, segments]`."""
        table = np.zeros((len(self.words), self.spec.segments), np.float32)
        columns = np.arange(self.spec.segments)[:, None]
        table[self.segments.words[:, :WORDS_OF_SEGMENT], columns] = OWN_WORD / WORDS_OF_SEGMENT
        table[self.segments.words[:, WORDS_OF_SEGMENT:], columns] = (1 - OWN_WORD) / WORDS_OF_CATEGORY
        return table

    def taste(self, user: Ints, country: Ints, time: Ints) -> Floats:
        """Return tastes `[n, DIM]` of users (-1 = anonymous: the taste of the country) at times (seconds)."""
        known = user >= 0
        at = np.where(known, user, 0)
        out = self.users.taste[at]
        if self.spec.switches.drift:
            gone = np.clip((time - self.start) / (self.end - self.start), 0, 1).astype(np.float32)
            out = _unit(out + gone[:, None] * self.users.drift[at])
        return np.where(known[:, None], out, self.country_taste[country]).astype(np.float32)

    def season_of(self, time: Ints) -> Floats:
        """Return the log weight of every segment at times (seconds), `[n, segments]`."""
        if not self.spec.switches.seasonality:
            return np.zeros((len(time), self.spec.segments), np.float32)
        turn = (2 * np.pi * (time - self.start) / (60 * DAY)).astype(np.float32)
        return self.segments.season * np.cos(turn[:, None] - self.segments.phase)

    def _draw_segments(self, rng: np.random.Generator) -> Segments:
        count = self.spec.segments
        centres = _unit(rng.normal(size=(len(CATEGORIES), TASTE_DIM)))
        category = np.arange(count) % len(CATEGORIES)
        taste = _unit(centres[category] + 0.9 * rng.normal(size=(count, TASTE_DIM)) / np.sqrt(TASTE_DIM))
        close = taste @ taste.T
        np.fill_diagonal(close, -2.0)
        neighbours = np.argsort(-close, axis=1, kind="stable")[:, :NEAREST_SEGMENTS]
        own = np.arange(count)[:, None] * WORDS_OF_SEGMENT + np.arange(WORDS_OF_SEGMENT)
        first = count * WORDS_OF_SEGMENT
        shared = first + category[:, None] * WORDS_OF_CATEGORY + np.arange(WORDS_OF_CATEGORY)
        return Segments(
            taste=taste.astype(np.float32),
            category=category.astype(np.int64),
            season=rng.uniform(0.0, 0.8, count).astype(np.float32),
            phase=rng.uniform(0.0, 2 * np.pi, count).astype(np.float32),
            neighbours=neighbours.astype(np.int64),
            words=np.concatenate([own, shared], 1).astype(np.int64),
        )

    def _draw_items(self, rng: np.random.Generator) -> SimulatedItems:
        count = self.spec.items
        segment = rng.integers(0, self.spec.segments, count)
        created = self.start - rng.integers(0, HISTORY_DAYS * DAY, count)
        cold = rng.random(count) < COLD_SHARE
        if self.spec.switches.cold_items:
            created = np.where(cold, self.start + rng.integers(0, self.end - self.start, count), created)
        # Every style has an item from the first day.
        _, first = np.unique(segment, return_index=True)
        created[first] = self.start - HISTORY_DAYS * DAY
        quality = rng.normal(size=count).astype(np.float32)
        price = 3.0 + 0.5 * rng.normal(size=count) + 0.1 * self.segments.category[segment]
        style = self.segments.taste[segment] + 0.15 * rng.normal(size=(count, TASTE_DIM))
        # Good items are shown more often; the rest of the exposure is chance.
        weight = np.exp(0.7 * quality + 0.9 * rng.normal(size=count))
        return SimulatedItems(
            segment=segment,
            created=created.astype(np.int64),
            quality=quality,
            log_price=price.astype(np.float32),
            weight=weight.astype(np.float32),
            style=_unit(style).astype(np.float32),
            words=self._draw_words(rng, segment),
        )

    def _draw_words(self, rng: np.random.Generator, segment: Ints) -> Ints:
        """Draw the words of titles, `[n, 5]`: a filler, two of the segment, two of the category."""
        own = rng.integers(0, WORDS_OF_SEGMENT, (len(segment), 2))
        shared = WORDS_OF_SEGMENT + rng.integers(0, WORDS_OF_CATEGORY, (len(segment), 2))
        words = self.segments.words[segment[:, None], np.concatenate([own, shared], 1)]
        total = self.spec.segments * WORDS_OF_SEGMENT + len(CATEGORIES) * WORDS_OF_CATEGORY
        filler = total + rng.integers(0, FILLERS, (len(segment), 1))
        if not self.spec.switches.titles:
            words = rng.integers(0, total, words.shape)
        return np.concatenate([filler, words], 1).astype(np.int64)

    def _draw_users(self, rng: np.random.Generator) -> SimulatedUsers:
        count = self.spec.users
        shares = 1.0 / np.arange(1, len(WORLD_COUNTRIES) + 1)
        country = rng.choice(len(WORLD_COUNTRIES), count, p=shares / shares.sum())
        created = self.start + rng.integers(-HISTORY_DAYS * DAY, (self.end - self.start) // 2, count)
        created.sort()
        created[0] = self.start - HISTORY_DAYS * DAY
        taste = _unit(rng.normal(size=(count, TASTE_DIM))) + self.country_taste[country]
        return SimulatedUsers(
            country=country.astype(np.int64),
            created=created.astype(np.int64),
            taste=_unit(taste).astype(np.float32),
            drift=(0.8 * _unit(rng.normal(size=(count, TASTE_DIM)))).astype(np.float32),
            budget=(3.5 + 0.7 * rng.normal(size=count)).astype(np.float32),
            activity=rng.pareto(1.5, count).astype(np.float32) + 0.1,
        )


def _unit(vectors: npt.NDArray) -> npt.NDArray:
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _spell(count: int) -> list[str]:
    """Return distinct pronounceable words of three syllables, which are the digits of a number."""
    consonants, vowels = "bdfghjklmnprstvz", "aeiou"
    syllables = [c + v for c in consonants for v in vowels]
    base = len(syllables)
    # The step shares no factor with the number of words, so all words come before one is repeated.
    return ["".join(syllables[(n * 99_991 % base**3) // base**p % base] for p in range(3)) for n in range(count)]
