"""The simulated marketplace: the same bytes for the same seed, switches that switch, and a truth that is the truth."""

import dataclasses
from itertools import pairwise

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_project import cli

from unified_ranker.config.loading import load_config
from unified_ranker.core.errors import UserError
from unified_ranker.core.times import DAY
from unified_ranker.evaluation.overall_metrics import OverallMetrics
from unified_ranker.evaluation.protocol import evaluate
from unified_ranker.log.schema import normalise
from unified_ranker.prepare.prepared import prepare
from unified_ranker.reading.typed_table import read_table
from unified_ranker.simulation.ab import (
    best_ranker,
    draw_test,
    expected_engagements,
    popular_ranker,
    random_ranker,
    run_ab,
)
from unified_ranker.simulation.choices import Shelves, click_chance, react
from unified_ranker.simulation.market_project import write_project
from unified_ranker.simulation.marketplace import Marketplace, simulate
from unified_ranker.simulation.spec import MarketplaceSpec, Switches, make_spec
from unified_ranker.simulation.truth import Truth
from unified_ranker.simulation.visits import Visitors, draw_requests, draw_times
from unified_ranker.simulation.world import World

SPEC = MarketplaceSpec(items=400, users=150, events=20_000, days=30)


def without(*names, **sizes):
    return make_spec({**SPEC.model_dump(exclude={"switches", "shares", "start"}), **sizes}, names)


def contents(directory):
    return {str(p.relative_to(directory)): p.read_bytes() for p in sorted(directory.rglob("*")) if p.is_file()}


def events_of(spec):
    import pyarrow as pa

    return pa.concat_tables(list(Marketplace(World(spec)).slices())).to_pandas()


@pytest.fixture(scope="module")
def market(tmp_path_factory):
    directory = tmp_path_factory.mktemp("simulated") / "market"
    simulate(SPEC, directory, beside=write_project)
    return directory


@pytest.fixture(scope="module")
def log(market):
    return normalise(*(read_table(market / name) for name in ("events", "items", "users")))


def test_the_same_seed_gives_the_same_bytes_and_another_others(market, tmp_path):
    simulate(SPEC, tmp_path / "again", beside=write_project)
    assert contents(tmp_path / "again") == contents(market)
    simulate(SPEC.model_copy(update={"seed": 8}), tmp_path / "other")
    assert (tmp_path / "other/events/part-00000.parquet").read_bytes() != (
        market / "events/part-00000.parquet"
    ).read_bytes()


@pytest.mark.parametrize(
    "spec",
    [
        SPEC,
        without("queries", "countries"),
        without("impressions", "purchases"),
        # Enough items for a feed in which users seldom meet one again.
        SPEC.model_copy(update={"shares": {"home_feed": 1.0}, "items": 4000}),
        SPEC.model_copy(update={"shares": {"home_feed": 0.5, "search": 0.5}}),
    ],
)
def test_the_project_reads_histories_and_signals_as_init_declares_them(spec, tmp_path):
    simulate(spec, tmp_path / "market", beside=write_project)
    tables = [word for name in ("events", "items", "users") for word in (f"--{name}", str(tmp_path / "market" / name))]
    assert cli("init", str(tmp_path / "shop"), *tables).exit_code == 0
    own, written = (load_config(tmp_path / name).towers for name in ("market", "shop"))
    assert [signal.type for signal in own.ranker.signals] == [signal.type for signal in written.ranker.signals]
    if spec.switches.impressions:
        assert set(own.user.history_events) == set(written.user.history_events) == {"click", "purchase"}
    else:
        assert written.user.history_events is None


def test_the_log_has_the_form_and_about_the_size_asked_for(log, market):
    assert len(log.items) == 400
    assert len(log.users) == 150
    assert len(log.events) == pytest.approx(SPEC.events, rel=0.05)
    assert set(log.events["task"]) == {"home_feed", "search", "more_like_this"}
    kinds = log.events["event_type"].value_counts()
    assert kinds["impression"] > 4 * kinds["click"] > 4 * kinds["purchase"] > 0
    assert log.events["query"].notna().equals(log.events["task"] == "search")
    assert log.events["source_item_id"].notna().equals(log.events["task"] == "more_like_this")
    checks = cli("validate", "-p", market)
    assert checks.exit_code == 0, checks.output


def test_nothing_is_written_over_and_nothing_is_left_of_a_mistake(market, tmp_path):
    with pytest.raises(UserError, match="exists and is not empty"):
        simulate(SPEC, market)
    result = cli("simulate", tmp_path / "x", "--without", "drifts")
    assert result.exit_code != 0
    with pytest.raises(UserError, match=r"unknown switch `drifts`.*Did you mean `drift`"):
        without("drifts")
    with pytest.raises(UserError, match=r"`--items`: .* Received: 3"):
        without(items=3)
    with pytest.raises(UserError, match="is no simulated marketplace"):
        MarketplaceSpec.load(tmp_path)
    assert not list(tmp_path.iterdir())


# --- every switch does something, and only what it says


def test_impressions_purchases_queries_and_anonymous_users_can_be_switched_off():
    plain = events_of(SPEC)
    assert plain["user_id"].isna().mean() == pytest.approx(0.03, abs=0.02)
    assert "impression" not in set(events_of(without("impressions", events=2000))["event_type"])
    assert "purchase" not in set(events_of(without("purchases"))["event_type"])
    assert events_of(without("queries"))["query"].isna().all()
    assert events_of(without("anonymous"))["user_id"].notna().all()


def test_position_bias_can_be_switched_off():
    def clicks_by_place(spec):
        events = events_of(spec)
        of = {kind: events[events["event_type"] == kind].groupby("position").size() for kind in ("impression", "click")}
        return (of["click"] / of["impression"]).to_numpy()

    biased, plain = (
        clicks_by_place(SPEC.model_copy(update={"events": 60_000})),
        clicks_by_place(without("position_bias", events=60_000)),
    )
    assert biased[0] > 2.5 * biased[-3:].mean()
    assert plain[0] < 1.4 * plain[-3:].mean()


def test_seasons_drift_countries_and_cold_items_can_be_switched_off():
    def range_of_hours(spec):
        hours = events_of(spec)["timestamp"].dt.hour.value_counts()
        return hours.max() / hours.min()

    assert range_of_hours(SPEC) > 2 > range_of_hours(without("seasonality"))
    user, country = np.arange(150), np.zeros(150, int)
    moved = {}
    for name, spec in (("on", SPEC), ("off", without("drift"))):
        world = World(spec)
        first, last = (world.taste(user, country, np.full(150, t)) for t in (world.start, world.end))
        moved[name] = float(np.abs(first - last).max())
    assert moved["on"] > 0.5
    assert moved["off"] == 0
    assert (World(without("cold_items")).items.created < World(SPEC).start).all()
    assert (World(SPEC).items.created > World(SPEC).start).mean() == pytest.approx(0.3, abs=0.08)
    assert not World(without("countries")).country_taste.any()
    assert np.linalg.norm(World(SPEC).country_taste, axis=1).min() > 0.5


def test_titles_carry_the_style_unless_switched_off():
    def same_segment_shares_words(spec):
        items = World(spec).items
        first = np.flatnonzero(items.segment == 0)
        own = set(items.words[first[0], 1:].tolist())
        return np.mean([bool(own & set(items.words[i, 1:].tolist())) for i in first[1:]])

    assert same_segment_shares_words(SPEC) > 2 * same_segment_shares_words(without("titles"))


def test_no_item_is_shown_before_it_exists_nor_a_user_before_they_came(log):
    created = log.items.set_index("item_id")["created_at"]
    assert (log.events["timestamp"] >= created.loc[log.events["item_id"]].to_numpy()).all()
    known = log.events[log.events["user_id"].notna()]
    joined = log.users.set_index("user_id")["created_at"]
    assert (known["timestamp"] >= joined.loc[known["user_id"]].to_numpy()).all()


# --- the truth


def test_clicks_come_as_often_as_the_truth_says():
    world = World(without("position_bias"))
    rng = np.random.default_rng(0)
    slate, taste = rng.integers(0, 400, (4000, 5)), world.users.taste[rng.integers(0, 150, 4000)]
    budget, nothing = np.full(4000, 3.5, np.float32), np.full(4000, -1)
    answers = react(world, taste, budget, slate, nothing, rng)
    chance = click_chance(world, taste, budget, slate)
    np.testing.assert_allclose(click_chance(world, taste, budget)[np.arange(4000)[:, None], slate], chance, rtol=1e-4)
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        of = (chance >= low) & (chance < high) & answers.shown
        assert answers.clicked[of].mean() == pytest.approx(chance[of].mean(), abs=0.05)


def test_the_truth_is_the_chance_by_which_the_log_was_drawn(log, market):
    """The truth puts as much on an item as the simulator, asked the same request over and over, draws there."""
    config = load_config(market)
    prepared, world = prepare(log, config), World(SPEC)
    truth = Truth(world, prepared)
    examples = prepared.examples.take(prepared.examples.task == "search").take(np.arange(1))
    chance = np.exp(truth.score(examples)[0])
    # The same request over and over, by the simulator's own hands.
    rng, many = np.random.default_rng(1), 30_000
    shelves = Shelves(world)
    user = int(truth._users[examples.user[0]])
    time = np.repeat(examples.timestamp, many)
    from unified_ranker.simulation.intent import Wanted

    taste = world.taste(np.array([user]), np.array([0]), examples.timestamp)
    segments = truth.segments(examples, Wanted(taste, examples.timestamp))[0]
    drawn = rng.choice(len(segments), many, p=segments.astype(float) / segments.astype(float).sum())
    slate = shelves.draw(drawn, time, 1, rng)
    budget = world.users.budget[[user]] if user >= 0 else np.array([3.5], np.float32)
    answers = react(world, np.repeat(taste, many, 0), np.repeat(budget, many), slate, np.full(many, -1), rng)
    counted = np.bincount(slate[answers.clicked], minlength=400) + np.bincount(slate[answers.bought], minlength=400)
    expected = chance[np.argsort(truth._items)] * many
    assert np.corrcoef(counted, expected)[0, 1] > 0.97
    assert counted.sum() == pytest.approx(expected.sum(), rel=0.1)


def test_nothing_ranks_better_than_the_truth_and_it_is_far_from_chance(log, market):
    config = load_config(market)
    prepared = prepare(log, config)
    truth = Truth(World(SPEC), prepared)

    class Perturbed:
        name = "perturbed"

        def score(self, requests):
            scores = truth.score(requests)
            noise = np.random.default_rng(0).normal(size=scores.shape) * 1.5
            return np.where(np.isfinite(scores), scores + noise, scores)

    metrics = OverallMetrics.of(evaluate([truth, Perturbed()], prepared, config))
    assert metrics.of_scorer(truth.name).keys() == config.tasks.keys()
    for task in config.tasks:
        best, worse = (metrics.scorers(task)[name]["ndcg@10"] for name in (truth.name, "perturbed"))
        assert best > worse, task
        assert best > 0.05, task


def test_a_better_ranker_has_the_uplift_that_the_truth_gives_it():
    world = World(SPEC)
    requests = draw_test(world, 400, seed=1)
    rankers = {"random": random_ranker(world, 0), "popular": popular_ranker(world), "truth": best_ranker(world)}
    values = {name: expected_engagements(world, requests, rank(requests)).mean() for name, rank in rankers.items()}
    assert values["random"] < values["popular"] < values["truth"]
    rows = {row.task: row for row in run_ab(world, requests, rankers["random"], rankers["truth"])}
    whole = rows["all"]
    assert whole.uplift == pytest.approx(values["truth"] / values["random"] - 1, rel=1e-3)
    assert whole.low < whole.uplift < whole.high
    assert whole.drawn_b == pytest.approx(whole.b, rel=0.3)
    assert whole.requests == sum(row.requests for name, row in rows.items() if name != "all")
    same = run_ab(world, requests, rankers["popular"], rankers["popular"])[0]
    assert same.uplift == same.low == same.high == 0


def test_slices_follow_one_another_and_are_drawn_from_seeds_of_their_own():
    world = World(SPEC)
    times = [draw_times(world, part, 4, 500, np.random.default_rng(part)) for part in range(4)]
    assert all((np.diff(t) >= 0).all() for t in times)
    assert all(a[-1] <= b[0] for a, b in pairwise(times))
    assert times[0][0] >= world.start
    assert times[-1][-1] < world.start + 30 * DAY
    requests = draw_requests(world, Shelves(world), Visitors(world), times[0], np.random.default_rng(0))
    assert len(requests) == 500
    assert all(len(getattr(requests, f.name)) == 500 for f in dataclasses.fields(requests))


def test_no_slice_of_the_log_repeats_another():
    """Each is drawn from its own number: else every slice would ask for the same surfaces in the same order."""
    market = Marketplace(World(without("impressions", events=12_000)))
    first, second = (part.to_pandas() for part in market.slices())
    surfaces = []
    for part, start in ((first, 0), (second, market.requests // 2)):
        asked = part["request_id"].str.removeprefix("r").astype(int) - start
        surfaces.append(part.groupby(asked)["task"].first())
    one, other = surfaces[0].align(surfaces[1], join="inner")
    assert len(one) > 1000
    assert (one == other).mean() < 0.6


@pytest.mark.parametrize("requests", [400, 20_500])
def test_the_interval_of_an_uplift_is_as_wide_as_the_delta_method_makes_it(requests):
    """Both ways to it, by resampling few requests and by a formula for many."""
    world = World(SPEC)
    drawn = draw_test(world, requests, seed=1)
    rankers = random_ranker(world, 0), popular_ranker(world)
    a, b = (expected_engagements(world, drawn, rank(drawn)).astype(float) for rank in rankers)
    row = run_ab(world, drawn, *rankers)[0]
    ratio = b.mean() / a.mean()
    half = 1.96 * (b - ratio * a).std() / a.mean() / np.sqrt(requests)
    assert row.uplift == pytest.approx(ratio - 1, rel=1e-3)
    assert (row.high - row.low) / 2 == pytest.approx(half, rel=0.08)
    assert row.low < row.uplift < row.high


def test_simulate_ceiling_and_ab_test_from_the_command_line(tmp_path):
    import json

    target = tmp_path / "market"
    written = cli("simulate", target, "--items", 300, "--users", 80, "--events", 12_000, "--json")
    assert written.exit_code == 0, written.output
    assert json.loads(written.stdout)["events"] == pq.read_table(target / "events").num_rows
    best = cli("ceiling", "-p", target, "--json")
    assert best.exit_code == 0, best.output
    values = json.loads(best.stdout)
    assert set(values) == {"home_feed", "search", "more_like_this"}
    assert all(0 < row["ceiling"]["ndcg@10"] <= 1 for row in values.values())
    table = cli("ab-test", "-p", target, "--a", "random", "--b", "truth", "--requests", 100)
    assert table.exit_code == 0, table.output
    assert "B = truth against A = random" in table.stdout
    wrong = cli("ab-test", "-p", target, "--a", "releases/9", "--b", "truth")
    assert wrong.exit_code == 2


def test_all_switches_are_described():
    assert all(name in (Switches.__doc__ or "") for name in Switches.model_fields)
