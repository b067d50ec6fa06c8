"""Model quality: `compare_command`, `tune_command` and `tune-quality`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import JsonOption, ProjectOption, SetOption
from unified_ranker.core.errors import UserError, unknown_name

KINDS = ("joint", "alone", "ablation")


@app.command("compare")
def compare_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of the joint model and of each task alone.")] = 3,
    variant: Annotated[
        list[str] | None,
        typer.Option(help="One more model: NAME:path=value[;path=value …]. May be repeated."),
    ] = None,
    runs: Annotated[str, typer.Option(help="Kinds of model: joint, alone, ablation; with commas.")] = ",".join(KINDS),
    output: Annotated[
        Path | None, typer.Option(help="Where the report goes; by default comparison/ of the project.")
    ] = None,
    jobs: Annotated[int, typer.Option(min=1, help="Models trained at once, each on its part of the processors.")] = 1,
    as_json: JsonOption = False,
) -> None:
    """Compare the joint model with specialists, ablations and baselines, and write a report.

    Runs that are done are kept: an interrupted comparison goes on where it was. Exit code 1 says that the joint
    model is below a specialist or a baseline.

    Example: `unified-ranker compare --project examples/travel --seeds 3 --jobs 2`

    Example: `unified-ranker compare --runs joint --variant "hot:project.training.temperature=0.1"`
    """
    from unified_ranker.commands.compare import compare_project

    kinds = [name.strip() for name in runs.split(",") if name.strip()]
    for kind in kinds:
        if kind not in KINDS:
            raise unknown_name("kind of run", kind, KINDS, "--runs")
    if "joint" not in kinds:
        raise UserError(f"`--runs` must have `joint`: all others are compared with it. Received: `{runs}`. Add it.")
    if not compare_project(project, list(overrides or []), seeds, list(variant or []), kinds, output, as_json, jobs):
        raise typer.Exit(1)


@app.command("tune")
def tune_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    minutes: Annotated[
        float, typer.Option(min=0.1, help="Time of all trials together, those of earlier runs included.")
    ] = 60.0,
    trials: Annotated[int | None, typer.Option(min=1, help="Trials at the most, earlier ones included.")] = None,
    space: Annotated[
        Path | None, typer.Option(help="YAML: settings and what to try; by default the usual ones.")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(help="Where the best settings go, for --set @FILE; by default tuned.set of the project."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Search settings on the validation slice, with models that saw the train slice alone.

    The first trial has the declared settings; a trial's value is the mean over tasks of its NDCG@10 over theirs. A
    search that was interrupted or killed goes on where it was; more minutes go further. A space is a file such as

        project.training.learning_rate: {low: 0.001, high: 0.01, log: true}
        towers.item.dim: {choices: [32, 64, 128]}

    Example: `unified-ranker tune --project examples/travel --minutes 120`
    """
    from unified_ranker.commands.tune import tune_project

    tune_project(project, list(overrides or []), minutes, trials, space, output, as_json)


@app.command("tune-quality")
def tune_quality_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    trials: Annotated[int, typer.Option(min=1, help="Sets of weights that are tried for each task.")] = 150,
    requests: Annotated[int, typer.Option(min=1, help="Requests of the validation slice to try them on.")] = 500,
    as_json: JsonOption = False,
) -> None:
    """Fit each task's quality weights and ranking strength on the validation slice, by a model of the train slice.

    It prints what to put into tasks/*.yaml, Recall@100 of retrieval with no weights, the declared and the fitted, and
    NDCG@10 of the ranking by how much of what the head adds to retrieval counts.

    Example: `unified-ranker tune-quality --project examples/travel`
    """
    from unified_ranker.commands.tune_quality import tune_quality

    tune_quality(project, list(overrides or []), trials, requests, as_json)
