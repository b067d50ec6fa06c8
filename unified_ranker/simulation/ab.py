"""Simulated A/B test: the true uplift of one ranker over another, in clicks and purchases per request.

Each ranker answers the same requests. The chance of each click and purchase is known, so the uplift is computed as an
expectation, without noise. The counts of one real experiment of that size are drawn beside it.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from unified_ranker.core.arrays import Floats, Ints
from unified_ranker.core.candidate_rule import exists
from unified_ranker.simulation.choices import Shelves, buy_chance, click_chance, looks
from unified_ranker.simulation.intent import Wanted, at_home, beside, in_search
from unified_ranker.simulation.spec import TASKS
from unified_ranker.simulation.visits import Requests, Visitors, draw_requests, draw_times
from unified_ranker.simulation.world import World

MarketRanker = Callable[[Requests], Ints]
"""Ranker: answers requests with item indices `[requests, slate]`, best first; -1 where there are too few items."""
RESAMPLES = 1_000


@dataclass(frozen=True)
class Uplift:
    """Uplift of B over A, for one task or all: means per request, and the 95 % interval of the relative gain.

    `a` and `b` are true expectations; `drawn_a` and `drawn_b` are the counts of one experiment on these requests.
    """

    task: str
    requests: int
    a: float
    b: float
    uplift: float
    low: float
    high: float
    drawn_a: float
    drawn_b: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as JSON values."""
        return asdict(self)


def draw_test(world: World, count: int, seed: int) -> Requests:
    """Draw the requests of an experiment: the last tenth of the log's time, with another seed than the log's."""
    rng = np.random.default_rng([world.spec.seed, 77, seed])
    time = draw_times(world, 9, 10, count, rng)
    return draw_requests(world, Shelves(world), Visitors(world), time, rng)


def run_ab(world: World, requests: Requests, a: MarketRanker, b: MarketRanker, seed: int = 0) -> list[Uplift]:
    """Measure B against A, by task and in total, in expected clicks plus purchases per request."""
    expected = [expected_engagements(world, requests, slate(requests)) for slate in (a, b)]
    rng = np.random.default_rng([world.spec.seed, 78, seed])
    drawn = [rng.poisson(np.clip(e, 0, None)) for e in expected]
    rows = []
    for number, name in [(-1, "all"), *enumerate(TASKS)]:
        of = np.flatnonzero((requests.task == number) | (number < 0))
        if len(of):
            rows.append(_compare(name, expected[0][of], expected[1][of], drawn[0][of], drawn[1][of], rng))
    return rows


def expected_engagements(world: World, requests: Requests, slate: Ints) -> Floats:
    """Return the expected clicks plus purchases of slates `[n, positions]`, `[n]`."""
    item = np.maximum(slate, 0)
    chance = np.take_along_axis(segments_of(world, requests), world.items.segment[item], 1)
    chance = chance * click_chance(world, requests.taste, requests.budget, item) * (1.0 + buy_chance(world, item))
    there = (slate >= 0) & exists(world.items.created[item], requests.time[:, None])
    return (chance * there * looks(world, slate.shape[1])).sum(1)


def segments_of(world: World, requests: Requests) -> Floats:
    """Return the chance that each segment is wanted, given the fields of the requests, `[n, segments]`."""
    out = np.zeros((len(requests), world.spec.segments), np.float32)
    for number, name in enumerate(TASKS):
        rows = np.flatnonzero(requests.task == number)
        wanted = Wanted(requests.taste[rows], requests.time[rows])
        if name == "search":
            out[rows] = in_search(world, wanted, requests.words[rows])
        elif name == "more_like_this":
            out[rows] = beside(world, wanted, requests.source[rows])
        else:
            out[rows] = at_home(world, wanted)
    return out


def best_ranker(world: World) -> MarketRanker:
    """Return the ranker that knows the truth; no other has more expected engagements."""

    def rank(requests: Requests) -> Ints:
        segment, size = segments_of(world, requests), world.spec.slate
        worth = (1.0 + buy_chance(world, np.arange(world.spec.items))).astype(np.float32)
        out = np.empty((len(requests), size), np.int64)
        for row in range(len(requests)):
            one = slice(row, row + 1)
            score = segment[row, world.items.segment] * worth
            score = score * click_chance(world, requests.taste[one], requests.budget[one])[0]
            score[~exists(world.items.created, requests.time[row])] = -1.0
            if requests.source[row] >= 0:
                score[requests.source[row]] = -1.0
            top = np.argpartition(-score, size - 1)[:size]
            out[row] = top[np.argsort(-score[top], kind="stable")]
        return out

    return rank


def random_ranker(world: World, seed: int) -> MarketRanker:
    """Return the ranker that draws existing items at random."""

    def rank(requests: Requests) -> Ints:
        rng = np.random.default_rng([seed, 79])
        order = np.argsort(world.items.created, kind="stable")
        there = np.searchsorted(world.items.created[order], requests.time, side="left")
        return order[(rng.random((len(requests), world.spec.slate)) * there[:, None]).astype(np.int64)]

    return rank


def popular_ranker(world: World) -> MarketRanker:
    """Return the ranker that shows everybody the items of the highest exposure weight."""
    order = np.argsort(-world.items.weight, kind="stable")

    def rank(requests: Requests) -> Ints:
        out = np.empty((len(requests), world.spec.slate), np.int64)
        for row in range(len(requests)):
            top, wanted = order[: 50 * world.spec.slate], world.spec.slate
            there = top[exists(world.items.created[top], requests.time[row])][:wanted]
            out[row] = np.pad(there, (0, wanted - len(there)), constant_values=-1)
        return out

    return rank


def _compare(task: str, a: Floats, b: Floats, drawn_a: Ints, drawn_b: Ints, rng: np.random.Generator) -> Uplift:
    rows = rng.integers(0, len(a), (RESAMPLES, len(a))) if len(a) <= 20_000 else None
    base = max(float(a.mean()), 1e-12)
    uplift = float(b.mean()) / base - 1.0
    if rows is None:
        # The normal approximation is close enough for many requests, and needs no resamples of them.
        half = 1.96 * float((b - a * (1 + uplift)).std()) / np.sqrt(len(a)) / base
        low, high = uplift - half, uplift + half
    else:
        ratios = b[rows].mean(1) / np.maximum(a[rows].mean(1), 1e-12) - 1.0
        low, high = (float(x) for x in np.quantile(ratios, [0.025, 0.975]))
    return Uplift(
        task, len(a), float(a.mean()), float(b.mean()), uplift, low, high, float(drawn_a.mean()), float(drawn_b.mean())
    )
