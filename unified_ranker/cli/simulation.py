"""The simulated marketplace: `simulate_command`, `ceiling_command` and `ab-test`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import JsonOption


@app.command("simulate")
def simulate_command(
    directory: Annotated[Path, typer.Argument(help="Where to write the log and its project.")],
    items: Annotated[int, typer.Option(help="Items of the catalogue.")] = 2_000,
    users: Annotated[int, typer.Option(help="Users.")] = 1_000,
    events: Annotated[int, typer.Option(help="Approximate number of events.")] = 100_000,
    days: Annotated[int, typer.Option(help="Days of the log.")] = 90,
    seed: Annotated[int, typer.Option(help="The same seed and sizes give the same bytes.")] = 7,
    without: Annotated[
        list[str] | None,
        typer.Option(
            help="Switch something off; repeated, or with commas: impressions, purchases, position_bias, seasonality, "
            "drift, cold_items, countries, queries, titles, anonymous."
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Simulate a marketplace whose truth is known, as a log with a project that builds on it.

    Example: `unified-ranker simulate market --items 1000000 --users 200000 --events 10000000`

    Example: `unified-ranker simulate plain --without drift,seasonality,position_bias`
    """
    from unified_ranker.commands.simulation import run_simulate

    sizes = {"items": items, "users": users, "events": events, "days": days, "seed": seed}
    run_simulate(directory, sizes, without or [], as_json)


@app.command("ceiling")
def ceiling_command(
    project: Annotated[Path, typer.Option("--project", "-p", help="A simulated and prepared project.")] = Path("."),
    as_json: JsonOption = False,
) -> None:
    """Measure the best reachable ranking of a simulated log, and how far its evaluated model is from it.

    Example: `unified-ranker ceiling --project market`
    """
    from unified_ranker.commands.simulation import run_ceiling

    run_ceiling(project, as_json)


@app.command("ab-test")
def ab_test_command(
    project: Annotated[Path, typer.Option("--project", "-p", help="A simulated project.")],
    a: Annotated[str, typer.Option("--a", help="A release, or `random`, `popular` or `truth`.")],
    b: Annotated[str, typer.Option("--b", help="Likewise; it is compared with A.")],
    requests: Annotated[int, typer.Option(min=10, help="Requests that both answer.")] = 2_000,
    seed: Annotated[int, typer.Option(help="Seed of the requests.")] = 0,
    as_json: JsonOption = False,
) -> None:
    """Measure the true uplift of one ranker over another by a simulated A/B test.

    Example: `unified-ranker ab-test --project market --a popular --b market/releases/latest`
    """
    from unified_ranker.commands.simulation import run_ab_test

    run_ab_test(project, a, b, requests, seed, as_json)
