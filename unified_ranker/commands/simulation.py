"""What `simulate`, `ceiling` and `ab-test` do and print."""

import json
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer
from rich.table import Table

from unified_ranker.commands.stages import OUT, open_pipeline
from unified_ranker.core.arrays import Ints
from unified_ranker.core.errors import UserError
from unified_ranker.simulation.ab import MarketRanker, best_ranker, draw_test, popular_ranker, random_ranker, run_ab
from unified_ranker.simulation.market_project import write_project
from unified_ranker.simulation.marketplace import simulate
from unified_ranker.simulation.spec import TASKS, MarketplaceSpec, make_spec
from unified_ranker.simulation.visits import Requests
from unified_ranker.simulation.world import COUNTRIES, World

if TYPE_CHECKING:
    from unified_ranker.core.request import Request

CEILING = "ndcg@10"


def run_simulate(directory: Path, sizes: dict[str, int], without: list[str], as_json: bool) -> None:
    """Write a marketplace and its project."""
    names = [name.strip() for part in without for name in part.split(",") if name.strip()]
    spec = make_spec(sizes, names)
    started = time.perf_counter()
    written = simulate(spec, directory, write_project)
    seconds = time.perf_counter() - started
    if as_json:
        typer.echo(json.dumps({**asdict(written), "directory": str(directory), "seconds": seconds}))
        return
    OUT.print(
        f"{written.items:,} items, {written.users:,} users, {written.events:,} events in {seconds:.1f} s "
        f"({written.events / seconds:,.0f} events/s): {directory}\n\nNext:\n"
        f"  unified-ranker build --project {directory}\n  unified-ranker ceiling --project {directory}",
        markup=False,
    )


def run_ceiling(project: Path, as_json: bool) -> None:
    """Measure the truth by the project's own protocol, beside what its model reached."""
    from unified_ranker.evaluation.protocol import evaluate
    from unified_ranker.project.reporting import EVALUATION, metrics_of, read_evaluation
    from unified_ranker.simulation.truth import Truth

    world = World(MarketplaceSpec.load(project))
    pipeline = open_pipeline(project, None)
    prepared, config = pipeline.prepared, pipeline.config
    truth = Truth(world, prepared)
    best = {
        task: scorers[truth.name]
        for task, scorers in metrics_of(evaluate([truth], prepared, config)).items()
        if truth.name in scorers
    }
    reached: dict[str, dict[str, dict[str, float]]] = {}
    if (pipeline.workspace.stage("evaluate") / EVALUATION).is_file():
        reached = metrics_of(read_evaluation(pipeline.workspace.stage("evaluate")))
    out: dict[str, dict[str, Any]] = {
        task: {
            "ceiling": values,
            "reached": reached.get(task, {}),
            "share_of_ceiling": {
                name: round(scored[CEILING] / values[CEILING], 4)
                for name, scored in reached.get(task, {}).items()
                if values[CEILING] > 0
            },
        }
        for task, values in best.items()
    }
    if as_json:
        typer.echo(json.dumps(out, indent=2))
        return
    table = Table(title="the best reachable ranking, and what was reached of its NDCG@10", title_justify="left")
    for name in ("task", "scorer", "NDCG@10", "of the ceiling", "Recall@10", "Recall@100"):
        table.add_column(name, justify="left" if name in ("task", "scorer") else "right")
    for task, row in out.items():
        shown = {truth.name: row["ceiling"], **row["reached"]}
        for name, values in shown.items():
            share = values[CEILING] / row["ceiling"][CEILING] if row["ceiling"][CEILING] else float("nan")
            cells = (values[CEILING], values["recall@10"], values["recall@100"])
            table.add_row(task, name, f"{cells[0]:.4f}", f"{share:.0%}", f"{cells[1]:.4f}", f"{cells[2]:.4f}")
    OUT.print(table)


def run_ab_test(project: Path, a: str, b: str, requests: int, seed: int, as_json: bool) -> None:
    """Measure the uplift of B over A."""
    world = World(MarketplaceSpec.load(project))
    drawn = draw_test(world, requests, seed)
    rows = run_ab(world, drawn, _ranker(a, "--a", world, seed), _ranker(b, "--b", world, seed), seed)
    if as_json:
        typer.echo(json.dumps({"a": a, "b": b, "rows": [row.to_json() for row in rows]}, indent=2))
        return
    table = Table(title=f"B = {b} against A = {a}: engagements a request", title_justify="left")
    for name in ("task", "requests", "A", "B", "true uplift", "95 %", "one experiment: A", "B"):
        table.add_column(name, justify="left" if name == "task" else "right")
    for row in rows:
        interval = f"{row.low:+,.0%} to {row.high:+,.0%}"
        numbers = (f"{row.a:.4f}", f"{row.b:.4f}", f"{row.uplift:+,.0%}", interval, f"{row.drawn_a:.4f}")
        table.add_row(row.task, f"{row.requests:,}", *numbers, f"{row.drawn_b:.4f}")
    OUT.print(table)


def _ranker(name: str, option: str, world: World, seed: int) -> MarketRanker:
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


def _release_ranker(release: Path, world: World) -> MarketRanker:
    """Return what a release answers, with the histories of its project's log."""
    from unified_ranker.commands.recommend import project_log
    from unified_ranker.core.request import NO_HISTORY
    from unified_ranker.serving.answering.recommending import Recommender

    recommender, log = Recommender(release), project_log(release, None)

    def rank(requests: Requests) -> Ints:
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


def _request(world: World, requests: Requests, row: int, user: str, history: object) -> "Request":
    from unified_ranker.core.request import Request

    source = int(requests.source[row])
    return Request(
        user_id=user,
        task=TASKS[requests.task[row]],
        query=" ".join(world.words[w] for w in requests.words[row] if w >= 0),
        source_item_id="" if source < 0 else str(world.item_ids[source]),
        country=COUNTRIES[requests.country[row]],
        timestamp=int(requests.time[row]),
        limit=world.spec.slate,
        history=history,  # type: ignore[arg-type]
    )
