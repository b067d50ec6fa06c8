"""The command line: `unified-ranker …`.

Imports of what is heavy happen inside the commands, so that `--help` answers at once.
"""

import json
import logging
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unified_ranker import __version__
from unified_ranker.errors import UserError


class Commands(TyperGroup):
    """The commands; a mistake of the user's is one clear message on standard error and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Typer ends an interrupted one without a word, so both are caught in here."""
        try:
            return super().invoke(ctx)
        except UserError as error:
            print(f"error: {error}", file=sys.stderr)
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            # On a line of its own, below a progress bar.
            print(
                "\ninterrupted; finished stages and releases are intact, the next run goes on from there",
                file=sys.stderr,
            )
            raise typer.Exit(130) from error


app = typer.Typer(
    name="unified-ranker",
    cls=Commands,
    help="One trained model for search, more-like-this and the home feed.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="Directory with project.yaml, towers/, tasks/ and export/.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="Override a declaration: path.in.config=value. May be repeated."),
]
SourceOption = Annotated[
    Path | None, typer.Option("--source", help="MovieLens only: GroupLens' own ml-100k.zip, or its directory.")
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--tasks", help="A model of these tasks alone; repeated, or with commas."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Do this again, even when it is up to date.")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
VerboseOption = Annotated[bool, typer.Option("--verbose", "-v", help="Log what happens, to standard error.")]


@app.callback(invoke_without_command=True)
def options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: VerboseOption = False,
) -> None:
    """One trained model for search, more-like-this and the home feed."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    if version:
        print(__version__)
        raise typer.Exit


@app.command()
def init(
    directory: Annotated[Path, typer.Argument(help="Where to write the project.")],
    events: Annotated[Path, typer.Option(help="Parquet or CSV table of events.")],
    items: Annotated[Path, typer.Option(help="Parquet or CSV table of items.")],
    users: Annotated[Path | None, typer.Option(help="Parquet or CSV table of users, if there is one.")] = None,
) -> None:
    """Write a project for a log by looking at its columns.

    Example: `unified-ranker init shop --events events.parquet --items items.parquet`
    """
    from unified_ranker.init.project import init_project

    written = init_project(directory, events, items, users)
    for file in written:
        print(f"wrote {file}")
    print(f"\nRead the comments in {directory}, change what you know better, then run:")
    print(f"  unified-ranker build --project {directory}")


@app.command()
def validate(
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


@app.command()
def prepare(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Make point-in-time training examples from the log.

    Example: `unified-ranker prepare --project examples/retail`
    """
    from unified_ranker.commands.stages import open_pipeline, print_result

    pipeline = open_pipeline(project, overrides, source, force=("prepare",) if force else ())
    print_result(pipeline.prepare(), as_json)


@app.command()
def train(
    project: ProjectOption = Path("."),
    overrides: SetOption = None,
    source: SourceOption = None,
    tasks: TasksOption = None,
    force: ForceOption = False,
    as_json: JsonOption = False,
) -> None:
    """Train the joint model, or a single task alone. An interrupted training goes on from its last epoch.

    Example: `unified-ranker train --tasks search --set project.training.epochs=3`
    """
    from unified_ranker.commands.stages import open_pipeline, print_result

    pipeline = open_pipeline(project, overrides, source, tasks, ("train",) if force else (), not as_json)
    print_result(pipeline.train(), as_json)


@app.command()
def evaluate(
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

    pipeline = open_pipeline(project, overrides, source, tasks, ("evaluate",) if force else (), not as_json)
    pipeline.evaluate()
    print_evaluation(pipeline, as_json)


@app.command()
def export(
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

    pipeline = open_pipeline(project, overrides, source, tasks, ("export",) if force else (), not as_json)
    print_result(pipeline.export(), as_json)


@app.command()
def verify(
    release: Annotated[Path, typer.Argument(help="A release, such as releases/latest.")], as_json: JsonOption = False
) -> None:
    """Walk the chain of a release and name the first broken link.

    Example: `unified-ranker verify releases/latest`
    """
    from unified_ranker.export.verify import verify as walk

    lines = walk(release)
    if as_json:
        print(json.dumps({"release": str(release), "links": lines}))
    else:
        print("\n".join(f"PASS {line}" for line in lines))


@app.command()
def build(
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
    from unified_ranker.pipeline.stages import STAGES

    run_build(open_pipeline(project, overrides, source, tasks, STAGES if force else (), not as_json), as_json)


@app.command()
def recommend(
    release: Annotated[Path, typer.Argument(help="A release, such as releases/latest.")],
    user: Annotated[str, typer.Option(help="User id; unknown ones are welcome.")] = "",
    task: Annotated[str | None, typer.Option(help="The surface to answer for.")] = None,
    query: Annotated[str, typer.Option(help="What the user typed.")] = "",
    source_item: Annotated[str, typer.Option(help="The item that the user looks at.")] = "",
    country: Annotated[str, typer.Option(help="Two capital letters (ISO 3166).")] = "",
    limit: Annotated[int, typer.Option(min=0, help="How many items; 0 = as the task declares.")] = 0,
    requests: Annotated[Path | None, typer.Option(help="A table of requests, Parquet or CSV.")] = None,
    output: Annotated[Path | None, typer.Option(help="Where the answers to --requests go (Parquet).")] = None,
    project: Annotated[
        Path | None, typer.Option("--project", "-p", help="Whose log holds the histories; by default the release's.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Answer one request, or a table of them.

    Example: `unified-ranker recommend releases/latest --user 42 --task search --query "space war"`

    Example: `unified-ranker recommend releases/latest --requests requests.parquet --output answers.parquet --limit 100`
    """
    from unified_ranker.commands.recommend import recommend_one, recommend_table

    fields = {"query": query, "source_item_id": source_item, "country": country}
    if requests is not None:
        if user or task or any(fields.values()):
            raise UserError("`--requests` brings its own users, tasks and fields. Leave `--user`, `--task` … out.")
        recommend_table(release, requests, output, limit, project, as_json)
    elif output is not None:
        raise UserError("`--output` is for the answers to `--requests`. Name that table, or leave `--output` out.")
    else:
        recommend_one(release, user, task, fields, limit, project, as_json)


@app.command()
def serve(
    release: Annotated[Path, typer.Argument(help="A release, such as releases/latest.")],
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 = any free one.")] = 8080,
    model_server: Annotated[
        str | None, typer.Option(help="host:port of TF Serving's gRPC; without, the embedded model server starts.")
    ] = None,
    project: Annotated[
        Path | None, typer.Option("--project", "-p", help="Whose log holds the histories; by default the release's.")
    ] = None,
) -> None:
    """Start the ranking service.

    Example: `unified-ranker serve releases/latest --port 8080`
    """
    from unified_ranker.serving.http_api import run_service

    run_service(release, host, port, model_server, project, announce=print)


@app.command("model-server")
def model_server_command(
    path: Annotated[Path, typer.Argument(help="A release, or a base path with version directories.")],
    host: Annotated[str, typer.Option(help="Address to listen on; loopback only.")] = "127.0.0.1",
    grpc_port: Annotated[int, typer.Option(help="Port of the gRPC API.")] = 8500,
    rest_port: Annotated[int, typer.Option(help="Port of the REST API.")] = 8501,
    model_name: Annotated[str, typer.Option(help="Name under which the model is served.")] = "unified_ranker",
) -> None:
    """Start the embedded model server alone: a stand-in for TF Serving on one machine.

    Example: `unified-ranker model-server releases/latest`
    """
    from unified_ranker.serving.model_server import run

    run(path, model_name=model_name, host=host, grpc_port=grpc_port, rest_port=rest_port)


def main() -> None:
    """Run the command line."""
    app()
