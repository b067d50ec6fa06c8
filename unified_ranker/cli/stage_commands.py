"""Commands that build a release, stage by stage: `validate | prepare | train | evaluate | export | verify`, `build`."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from unified_ranker.cli.app import BUILDING, app
from unified_ranker.cli.console import print_json, say, say_check
from unified_ranker.cli.options import (
    AddressOption,
    BeamOption,
    EngineOption,
    ForceOption,
    FromOption,
    JsonOption,
    MinutesOption,
    ProjectOption,
    ReleaseArgument,
    RequireBaselineOption,
    SetOption,
    SinceOption,
    SourceOption,
    TasksOption,
    TrainedTasksOption,
    WorkersOption,
)
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.engines.by_name import EngineChoice
    from unified_ranker.log.check import Check
    from unified_ranker.project.stage_context import StageContext, StageResult


@app.command("validate", rich_help_panel=BUILDING)
def validate_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check data and declarations together: one PASS, WARN or FAIL line per check. Exit code 1: one fails.

    Example: `unified-ranker validate --project examples/travel`
    """
    from unified_ranker.log.check import in_order
    from unified_ranker.project.prepare_stage import validate

    checks = in_order(validate(open_stages(project, overrides, source, ask=True)))
    if as_json:
        print_json([{"line": check.line(), "failed": check.failed} for check in checks])
    else:
        for check in checks:
            say_check(check.line())
        say(_summary(checks))
    if any(check.failed for check in checks):
        raise typer.Exit(1)


@app.command("prepare", rich_help_panel=BUILDING)
def prepare_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    engine: EngineOption = "auto",
    workers: WorkersOption = 0,
    address: AddressOption = None,
    beam_options: BeamOption = None,
    since: SinceOption = None,
) -> None:
    """Make point-in-time training examples from the log. An interrupted run continues from its finished shards.

    Example: `unified-ranker prepare --project examples/retail`

    Example: `unified-ranker prepare --engine dask --engine-address tcp://scheduler:8786`

    Example: `unified-ranker prepare --since releases/latest`
    """
    from unified_ranker.cli.stage_output import print_quality, print_result
    from unified_ranker.engines.by_name import EngineChoice
    from unified_ranker.project.one_build import one_build
    from unified_ranker.project.prepare_stage import prepare_stage

    choice = EngineChoice(engine, workers, address, tuple(beam_options or ()))
    context = open_stages(project, overrides, source, force=("prepare",) if force else (), engine=choice, ask=True)
    with one_build(context):
        context.lineage.note("since", since)
        result = prepare_stage(context)
        print_result(result, as_json)
        if not as_json:
            if result.skipped and (why := choice.why_unused()):
                say(f"{why}; `--force` prepares the log again")
            print_quality(result.output)


@app.command("train", rich_help_panel=BUILDING)
def train_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    start: FromOption = None,
    minutes: MinutesOption = None,
) -> None:
    """Train the joint model, or a single task alone. An interrupted training continues from its last epoch.

    Example: `unified-ranker train --tasks search --set project.training.epochs=3`

    Example: `unified-ranker train --from releases/latest`

    Example: `unified-ranker train --minutes 30`
    """
    from unified_ranker.cli.stage_output import print_result
    from unified_ranker.project.one_build import one_build
    from unified_ranker.project.train_stage import train_stage

    context = open_stages(project, in_minutes(overrides, minutes), source, tasks, ("train",) if force else ())
    with one_build(context):
        context.lineage.note("start", start)
        print_result(train_stage(context), as_json)


@app.command("evaluate", rich_help_panel=BUILDING)
def evaluate_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TrainedTasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the model and the baselines on the test slice, over the full catalogue.

    Example: `unified-ranker evaluate --set project.evaluation.requests_per_task=500`
    """
    from unified_ranker.cli.stage_output import print_evaluation
    from unified_ranker.project.evaluate_stage import evaluate_stage, read_evaluation
    from unified_ranker.project.one_build import one_build

    context = open_stages(project, overrides, source, tasks, ("evaluate",) if force else ())
    with one_build(context):
        evaluate_stage(context)
        print_evaluation(read_evaluation(context), as_json)


@app.command("export", rich_help_panel=BUILDING)
def export_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TrainedTasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a release: SavedModel, item vectors, index, report and manifest.

    Example: `unified-ranker export --project examples/retail`
    """
    from unified_ranker.cli.stage_output import print_result
    from unified_ranker.project.one_build import one_build

    context = open_stages(project, overrides, source, tasks, ("export",) if force else ())
    with one_build(context, releases=True):
        from unified_ranker.project.export_stage import export_stage

        print_result(export_stage(context), as_json)


@app.command("verify", rich_help_panel=BUILDING)
def verify_command(release: ReleaseArgument, as_json: JsonOption = False) -> None:
    """Check the links of a release, from its manifest to its parent, and name the first that is broken.

    Example: `unified-ranker verify releases/latest`
    """
    from unified_ranker.release.verify_release import verify_release

    links = verify_release(release)
    if as_json:
        print_json({"release": str(release), "links": links})
        return
    for link in links:
        say_check(f"PASS {link}")


@app.command("build", rich_help_panel=BUILDING)
def build_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    require_baseline: RequireBaselineOption = False,
    minutes: MinutesOption = None,
) -> None:
    """Run every stage in order, skip what is up to date, and end with a verified release.

    The last lines compare each task with the best simple method. Where the model loses, they name what failed first and
    the command that mends it.

    Example: `unified-ranker build --project examples/travel`

    Example: `unified-ranker build --require-baseline`

    Example: `unified-ranker build --minutes 30`
    """
    from unified_ranker.project.stage_context import STAGES

    overrides = in_minutes(overrides, minutes)
    context = open_stages(project, overrides, source, tasks, STAGES if force else (), ask=True)
    _build(context, as_json, require_baseline)


def in_minutes(overrides: list[str] | None, minutes: float | None) -> list[str]:
    """Return the declarations to replace for a training of so many minutes, which others may replace again."""
    from unified_ranker.config.project_file import PATIENCE

    given = list(overrides or [])
    if minutes is None:
        return given
    training = {"minutes": minutes, "epochs": MOST_EPOCHS, "patience": PATIENCE}
    return [*(f"project.training.{name}={value}" for name, value in training.items()), *given]


MOST_EPOCHS = 60
"""Most epochs of a training that has a number of minutes."""


def open_stages(
    project: Path,
    overrides: list[str] | None,
    source: Path | None = None,
    tasks: list[str] | None = None,
    force: Collection[str] = (),
    engine: "EngineChoice | None" = None,
    ask: bool = False,
) -> "StageContext":
    """Load a project for a run of its stages; those named in `force` run even if they are up to date.

    With `ask`, databases are asked although their answers are kept.
    """
    from unified_ranker.config import MovieLensSource
    from unified_ranker.config.loading import load_config
    from unified_ranker.engines.by_name import EngineChoice
    from unified_ranker.project.stage_context import StageContext, choose_tasks
    from unified_ranker.project.workspace import Workspace

    sets = list(overrides or [])
    config = load_config(project, sets)
    if source is not None:
        data = config.project.data
        if not isinstance(data, MovieLensSource):
            raise UserError(
                f"`--source` names MovieLens data, but `project.yaml` declares `data.type: {data.type}`. "
                "Set project.data.events and project.data.items instead."
            )
        config = load_config(project, [*sets, f"project.data.path={json.dumps(str(source.resolve()))}"])
    names = tuple(name.strip() for part in tasks or () for name in part.split(",") if name.strip())
    if tasks and not names:
        raise UserError(f"`--tasks` names no task. Known: {', '.join(f'`{t}`' for t in config.tasks)}.")
    workspace = Workspace(project.resolve(), config, ask)
    return StageContext(workspace, choose_tasks(config, names), force, engine or EngineChoice())


def _summary(checks: Sequence["Check"]) -> str:
    """Return the number of checks, of those that failed, and of warnings."""
    failed = sum(check.failed for check in checks)
    warnings = sum(not check.passed for check in checks) - failed
    return f"{len(checks)} checks, {failed} failed, {warnings} {'warning' if warnings == 1 else 'warnings'}"


def _build(context: "StageContext", as_json: bool, require_baseline: bool) -> None:
    from unified_ranker.cli.stage_output import print_evaluation, print_result, result_document, warn_of_losses
    from unified_ranker.config import MovieLensSource
    from unified_ranker.log.check import in_order
    from unified_ranker.project.stages import build

    def checked(checks: list["Check"]) -> None:
        failed = [check.line() for check in checks if check.failed]
        if failed:
            if as_json:
                print_json([{"line": check.line(), "failed": check.failed} for check in checks])
            raise UserError("\n".join([*failed, "Nothing was written. `unified-ranker validate` lists every check."]))
        if not as_json:
            say(f"validate: {_summary(checks)}")
            for check in in_order(checks):
                if not check.passed:
                    say(f"  {check.line()}", "warning")

    def ended(result: "StageResult") -> None:
        if not as_json:
            print_result(result, as_json)

    if isinstance(context.config.project.data, MovieLensSource) and not as_json:
        from unified_ranker.log.movielens import TERMS

        say(f"{TERMS}\n")
    results = build(context, checked, ended, require_baseline=require_baseline)
    from unified_ranker.evaluation.report_names import REPORT_PAGE
    from unified_ranker.project.evaluate_stage import read_evaluation

    if as_json:
        print_json([result_document(each) for each in results])
        warn_of_losses(read_evaluation(context))
        return
    release = results[-1].output
    print_evaluation(read_evaluation(context), as_json)
    say(f"\nrelease: {release}\nreport:  {release / REPORT_PAGE}")
