"""The stages of a project: `init | validate | prepare | train | evaluate | export | verify`, and `build_command`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import (
    AddressOption,
    BeamOption,
    EngineOption,
    ForceOption,
    FromOption,
    JsonOption,
    ProjectOption,
    SetOption,
    SinceOption,
    SourceOption,
    TasksOption,
    WorkersOption,
)


@app.command("init")
def init_command(
    directory: Annotated[Path, typer.Argument(help="Where to write the project.")],
    events: Annotated[Path, typer.Option(help="Parquet or CSV table of events.")],
    items: Annotated[Path, typer.Option(help="Parquet or CSV table of items.")],
    users: Annotated[Path | None, typer.Option(help="Parquet or CSV table of users, if there is one.")] = None,
) -> None:
    """Write a project for a log by looking at its columns.

    Example: `unified-ranker init shop --events events.parquet --items items.parquet`
    """
    from unified_ranker.project.init.serving_text import DIRECTORY
    from unified_ranker.project.init.write_project import init_project

    written = init_project(directory, events, items, users, announce=lambda line: typer.echo(line, err=True))
    serving = [file for file in written if file.is_relative_to(directory / DIRECTORY)]
    for file in written:
        if file not in serving:
            print(f"wrote {file}")
    print(f"wrote {directory / DIRECTORY} ({len(serving)} files to serve releases with: compose, Kubernetes, alerts)")
    print(f"\nRead the comments in {directory}, change what you know better, then run:")
    print(f"  unified-ranker build --project {directory}")


@app.command("validate")
def validate_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check data and declarations together: one PASS, WARN or FAIL line per check.

    Example: `unified-ranker validate --project examples/travel`
    """
    from unified_ranker.commands.stages import open_pipeline, print_checks

    checks = open_pipeline(project, overrides, source).validate()
    print_checks(checks, as_json)
    if any(check.failed for check in checks):
        raise typer.Exit(1)


@app.command("prepare")
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
    from unified_ranker.commands.preparing import print_quality
    from unified_ranker.commands.stages import open_pipeline, print_result
    from unified_ranker.engines.by_name import EngineChoice

    pipeline = open_pipeline(project, overrides, source, force=("prepare",) if force else ())
    with pipeline.claimed():
        pipeline.lineage.note("since", since)
        pipeline.engine = EngineChoice(engine, workers, address, tuple(beam_options or ()))
        result = pipeline.prepare()
        print_result(result, as_json)
        if not as_json:
            if result.skipped and (why := pipeline.engine.why_unused()):
                print(f"{why}; `--force` prepares them again")
            print_quality(result.output)


@app.command("train")
def train_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
    start: FromOption = None,
) -> None:
    """Train the joint model, or a single task alone. An interrupted training continues from its last epoch.

    Example: `unified-ranker train --tasks search --set project.training.epochs=3`

    Example: `unified-ranker train --from releases/latest`
    """
    from unified_ranker.commands.stages import open_pipeline, print_result

    pipeline = open_pipeline(project, overrides, source, tasks, ("train",) if force else ())
    with pipeline.claimed():
        pipeline.lineage.note("start", start)
        print_result(pipeline.train(), as_json)


@app.command("evaluate")
def evaluate_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Measure the model and the baselines on the test slice, over the full catalogue.

    Example: `unified-ranker evaluate --set project.evaluation.requests_per_task=500`
    """
    from unified_ranker.commands.stages import open_pipeline, print_evaluation

    pipeline = open_pipeline(project, overrides, source, tasks, ("evaluate",) if force else ())
    with pipeline.claimed():
        pipeline.evaluate()
        print_evaluation(pipeline, as_json)


@app.command("export")
def export_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Write a release: SavedModel, item vectors, index, report and manifest.

    Example: `unified-ranker export --project examples/retail`
    """
    from unified_ranker.commands.stages import open_pipeline, print_result

    pipeline = open_pipeline(project, overrides, source, tasks, ("export",) if force else ())
    with pipeline.claimed(releases=True):
        print_result(pipeline.export(), as_json)


@app.command("verify")
def verify_command(
    release: Annotated[Path, typer.Argument(help="A release, such as releases/latest.")], as_json: JsonOption = False
) -> None:
    """Walk the chain of a release and name the first broken link.

    Example: `unified-ranker verify releases/latest`
    """
    from unified_ranker.release.verify_release import verify_release as walk

    lines = walk(release)
    if as_json:
        print(json.dumps({"release": str(release), "links": lines}))
    else:
        print("\n".join(f"PASS {line}" for line in lines))


@app.command("build")
def build_command(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Run every stage in order, skip what is up to date, and end with a verified release.

    Example: `unified-ranker build --project examples/travel`
    """
    from unified_ranker.commands.stages import open_pipeline, run_build
    from unified_ranker.project.stages import STAGES

    run_build(open_pipeline(project, overrides, source, tasks, STAGES if force else ()), as_json)
