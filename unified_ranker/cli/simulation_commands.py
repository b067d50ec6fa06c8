"""Commands on the simulated marketplace: `simulate`, `ceiling` and `ab-test`."""

import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from unified_ranker.cli.app import SIMULATING, app
from unified_ranker.cli.console import print_json, print_table, say, warn
from unified_ranker.cli.options import JsonOption
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.core.arrays import Ints
    from unified_ranker.core.request import History, Request
    from unified_ranker.simulation.ab import MarketRanker
    from unified_ranker.simulation.visits import Requests
    from unified_ranker.simulation.world import World


@app.command("simulate", rich_help_panel=SIMULATING)
def simulate_command(
    directory: Annotated[Path, typer.Argument(help="Directory of the log and its project.")],
    items: Annotated[int, typer.Option(help="Number of items in the catalogue.")] = 2_000,
    users: Annotated[int, typer.Option(help="Number of users.")] = 1_000,
    events: Annotated[int, typer.Option(help="Approximate number of events.")] = 100_000,
    days: Annotated[int, typer.Option(help="Length of the log in days.")] = 90,
    seed: Annotated[int, typer.Option(help="Seed; the same seed and sizes give the same bytes.")] = 7,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Effects to switch off, separated by commas; may be repeated: impressions, purchases, position_bias, "
            "seasonality, drift, cold_items, countries, queries, titles, anonymous."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a marketplace with known truth, and write its log and a project to build from it.

    Example: `unified-ranker simulate market --items 1000000 --users 200000 --events 10000000`

    Example: `unified-ranker simulate plain --without drift,seasonality,position_bias`
    """
    from unified_ranker.simulation.market_project import write_project
    from unified_ranker.simulation.marketplace import simulate
    from unified_ranker.simulation.spec import make_spec

    sizes = {"items": items, "users": users, "events": events, "days": days, "seed": seed}
    spec = make_spec(sizes, [name.strip() for part in without or [] for name in part.split(",") if name.strip()])
    started = time.perf_counter()
    written = simulate(spec, directory, write_project)
    seconds = time.perf_counter() - started
    if as_json:
        print_json({**asdict(written), "directory": str(directory), "seconds": seconds})
        return
    say(
        f"{written.items:,} items, {written.users:,} users, {written.events:,} events in {seconds:.1f} s "
        f"({written.events / seconds:,.0f} events/s): {directory}\n\nNext:\n"
        f"  unified-ranker build --project {directory}\n  unified-ranker ceiling --project {directory}"
    )


@app.command("ceiling", rich_help_panel=SIMULATING)
def ceiling_command(
    project: Annotated[Path, typer.Option("--project", "-p", help="A simulated and prepared project.")] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """Measure the best reachable ranking of a simulated log, and how far its evaluated model is from it.

    Example: `unified-ranker ceiling --project market`
    """
    from unified_ranker.cli.stage_commands import open_stages
    from unified_ranker.evaluation.metrics import DECISIVE_METRIC
    from unified_ranker.evaluation.overall_metrics import OverallMetrics
    from unified_ranker.evaluation.protocol import evaluate
    from unified_ranker.project.evaluate_stage import read_evaluation
    from unified_ranker.project.prepare_stage import prepared_data
    from unified_ranker.project.stage_cache import is_finished
    from unified_ranker.simulation.spec import MarketplaceSpec
    from unified_ranker.simulation.truth import Truth
    from unified_ranker.simulation.world import World

    world = World(MarketplaceSpec.load(project))
    context = open_stages(project, None)
    prepared = prepared_data(context)
    truth = Truth(world, prepared)
    best = OverallMetrics.of(evaluate([truth], prepared, context.config)).of_scorer(truth.name)
    reached = OverallMetrics({})
    if is_finished(context.workspace.stage("evaluate")):
        reached = OverallMetrics.of(read_evaluation(context))
    out: dict[str, dict[str, Any]] = {
        task: {
            "ceiling": values,
            "reached": reached.scorers(task),
            "share_of_ceiling": {
                name: round(scored[DECISIVE_METRIC] / values[DECISIVE_METRIC], 4)
                for name, scored in reached.scorers(task).items()
                if values[DECISIVE_METRIC] > 0
            },
        }
        for task, values in best.items()
    }
    if as_json:
        print_json(out)
        return
    rows = []
    for task, row in out.items():
        for name, values in {truth.name: row["ceiling"], **row["reached"]}.items():
            ceiling = row["ceiling"][DECISIVE_METRIC]
            share = values[DECISIVE_METRIC] / ceiling if ceiling else float("nan")
            shown = (f"{values[metric]:.4f}" for metric in ("recall@10", "recall@100"))
            rows.append([task, name, f"{values[DECISIVE_METRIC]:.4f}", f"{share:.0%}", *shown])
    print_table(
        "the best reachable ranking, and the share of its NDCG@10 that was reached",
        ["task", "scorer", "NDCG@10", "of the ceiling", "Recall@10", "Recall@100"],
        rows,
        left=("task", "scorer"),
    )


@app.command("ab-test", rich_help_panel=SIMULATING)
def ab_test_command(
    project: Annotated[Path, typer.Option("--project", "-p", help="A simulated project.")],
    a: Annotated[str, typer.Option("--a", help="Ranker: a release, or `random`, `popular` or `truth`.")],
    b: Annotated[str, typer.Option("--b", help="Ranker that is compared with A.")],
    requests: Annotated[int, typer.Option(min=10, help="Requests that both answer.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the requests.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the true uplift of one ranker over another by a simulated A/B test.

    Example: `unified-ranker ab-test --project market --a popular --b market/releases/latest`
    """
    from unified_ranker.simulation.ab import draw_test, run_ab
    from unified_ranker.simulation.spec import MarketplaceSpec
    from unified_ranker.simulation.world import World

    world = World(MarketplaceSpec.load(project))
    drawn = draw_test(world, requests, seed)
    rows = run_ab(world, drawn, _ranker(a, "--a", world, seed), _ranker(b, "--b", world, seed), seed)
    if as_json:
        print_json({"a": a, "b": b, "rows": [row.to_json() for row in rows]})
        return
    print_table(
        f"B = {b} against A = {a}: engagements per request",
        ["task", "requests", "A", "B", "true uplift", "95 %", "one experiment: A", "B"],
        [
            [row.task, f"{row.requests:,}", f"{row.a:.4f}", f"{row.b:.4f}", f"{row.uplift:+,.0%}",
             f"{row.low:+,.0%} to {row.high:+,.0%}", f"{row.drawn_a:.4f}", f"{row.drawn_b:.4f}"]
            for row in rows
        ],
    )  # fmt: skip


def _ranker(name: str, option: str, world: "World", seed: int) -> "MarketRanker":
    from unified_ranker.simulation.ab import best_ranker, popular_ranker, random_ranker

    if name == "truth":
        return best_ranker(world)
    if name == "random":
        return random_ranker(world, seed)
    if name == "popular":
        return popular_ranker(world)
    release = Path(name)
    if not release.exists():
        raise UserError(f"`{option}` must be a release, or `random`, `popular` or `truth`. Received: `{name}`.")
    return _release_ranker(release, world)


def _release_ranker(release: Path, world: "World") -> "MarketRanker":
    """Return the ranker of a release, with the histories of its project's log."""
    import numpy as np

    from unified_ranker.core.request import NO_HISTORY
    from unified_ranker.serving.answering.recommender import Recommender

    recommender = Recommender(release, remark=warn)
    log = recommender.log

    def rank(requests: "Requests") -> "Ints":
        size = world.spec.slate
        asked = []
        for row in range(len(requests)):
            user = "" if requests.user[row] < 0 else str(world.user_ids[requests.user[row]])
            history = log.before(user, int(requests.time[row])) if log and user else NO_HISTORY
            asked.append(_request(world, requests, row, user, history))
        out = np.full((len(requests), size), -1, np.int64)
        for row, answer in enumerate(recommender.answer(asked)):
            found = [int(item.item_id[1:]) for item in answer.items[:size]]
            out[row, : len(found)] = found
        return out

    return rank


def _request(world: "World", requests: "Requests", row: int, user: str, history: "History") -> "Request":
    from unified_ranker.core.request import Request
    from unified_ranker.simulation.spec import TASKS
    from unified_ranker.simulation.world import WORLD_COUNTRIES

    source = int(requests.source[row])
    return Request(
        user_id=user,
        task=TASKS[requests.task[row]],
        query=" ".join(world.words[w] for w in requests.words[row] if w >= 0),
        source_item_id="" if source < 0 else str(world.item_ids[source]),
        country=WORLD_COUNTRIES[requests.country[row]],
        timestamp=int(requests.time[row]),
        limit=world.spec.slate,
        history=history,
    )
