"""Command that compares the joint model with others: `compare`."""

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from unified_ranker.cli.app import MEASURING, app
from unified_ranker.cli.console import print_json, print_table, remark, say
from unified_ranker.cli.options import JsonOption, ProjectOption, SetOption
from unified_ranker.core.errors import UserError, unknown_name

if TYPE_CHECKING:
    from unified_ranker.config import Config
    from unified_ranker.evaluation.comparison.comparison_summary import Line, TaskComparison
    from unified_ranker.evaluation.comparison.plan import PlannedRun

RUN_KINDS = ("joint", "alone", "ablation")


@app.command("compare", rich_help_panel=MEASURING)
def compare_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the joint model and of each task alone.")] = 3,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="Further model to compare, NAME:path=value[;path=value …]. May be repeated."),
    ] = None,
    runs: Annotated[str, typer.Option(help="Kinds of model, separated by commas: joint, alone, ablation.")] = ",".join(
        RUN_KINDS
    ),
    output: Annotated[
        Path | None, typer.Option(help="Directory of the report; by default comparison/ of the project.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Models trained at once, each on its share of the processors.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Compare the joint model with specialists, ablations and baselines, and write a report.

    Finished runs are kept: an interrupted comparison continues. Exit code 1: the joint model is below a specialist or
    a baseline.

    Example: `unified-ranker compare --project examples/travel --seeds 3 --jobs 2`

    Example: `unified-ranker compare --runs joint --variant "hot:project.training.temperature=0.1"`
    """
    from unified_ranker.config.loading import load_config
    from unified_ranker.core.files import require_writable
    from unified_ranker.evaluation.comparison.comparison_report import JSON, summarise_comparison, write_comparison
    from unified_ranker.evaluation.comparison.plan import plan
    from unified_ranker.project.comparison_runs import run_all
    from unified_ranker.project.prepare_stage import prepared_data
    from unified_ranker.project.stage_context import StageContext
    from unified_ranker.project.workspace import Workspace

    project, sets = project.resolve(), list(overrides or [])
    config = load_config(project, sets)
    planned = plan(config, seeds, list(variant or []), _kinds(runs))
    target = output or project / "comparison"
    require_writable(target, "--output")
    _require_comparable(project, sets, config, planned)
    done = 0

    def announce(run: "PlannedRun", kept: bool, seconds: float) -> None:
        nonlocal done
        done += 1
        took = "kept from an earlier run" if kept else f"{seconds:.0f} s"
        remark(f"{done} of {len(planned) + 1}  {run.name}, seed {run.seed}: {took}")

    results = run_all(project, sets, planned, announce, jobs)
    found = summarise_comparison(results, prepared_data(StageContext(Workspace(project, config))), config)
    page = write_comparison(found, target)
    if as_json:
        print_json(json.loads((page.parent / JSON).read_text(encoding="utf-8")))
    else:
        for task in found.tasks:
            _print_task(task, found.part)
        say(f"\nreport:  {page}")
    if any(task.verdict.worse for task in found.tasks):
        raise typer.Exit(1)


def _kinds(runs: str) -> list[str]:
    kinds = [name.strip() for name in runs.split(",") if name.strip()]
    for kind in kinds:
        if kind not in RUN_KINDS:
            raise unknown_name("kind of run", kind, RUN_KINDS, "--runs")
    if "joint" not in kinds:
        raise UserError(f"`--runs` must have `joint`: all others are compared with it. Received: `{runs}`. Add it.")
    return kinds


def _require_comparable(project: Path, sets: list[str], config: "Config", planned: list["PlannedRun"]) -> None:
    """Check the declarations of every run before the first is trained, so that no training is lost to a mistake."""
    from unified_ranker.config.loading import load_config
    from unified_ranker.evaluation.comparison.plan import require_same_requests

    for run in planned:
        try:
            require_same_requests(config, load_config(project, [*sets, *run.settings]))
        except UserError as error:
            raise UserError(f"the {run.kind} `{run.name}` has a setting that is not allowed: {error}") from error


def _print_task(task: "TaskComparison", part: str) -> None:
    from unified_ranker.evaluation.metrics import METRICS

    def ratio(line: "Line") -> str:
        r = line.ratio
        return "none" if r is None else f"{r.value:.3f} ({r.low:.2f} to {r.high:.2f})"

    print_table(
        f"{task.task} ({task.requests:,} requests, {part} slice)",
        ["model", "seeds", *METRICS, "÷ joint"],
        [
            [line.name, str(line.seeds), *(f"{line.metrics[m].value:.3f}" for m in METRICS), ratio(line)]
            for line in task.lines
        ],
    )
    if task.verdict.specialist is not None:
        say(f"joint ÷ alone: {task.verdict.specialist.value:.3f}", "bad" if task.verdict.worse else "good")
