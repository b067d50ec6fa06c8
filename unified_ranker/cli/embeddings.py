"""Vectors for other teams: `export-embeddings` and `refresh_command`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import app
from unified_ranker.cli.options import AddressOption, BeamOption, EngineOption, ForceCheckOption, JsonOption

ReleaseArgument = Annotated[Path, typer.Argument(help="A release, such as releases/latest.")]
StoreOption = Annotated[
    str | None,
    typer.Option(
        "--store", help="A directory, or redis://host:port/database; by default as export/embeddings.yaml says."
    ),
]
ProjectOfOption = Annotated[
    Path | None,
    typer.Option("--project", "-p", help="Project of the histories; by default the release's own."),
]


@app.command("export-embeddings")
def export_embeddings_command(
    release: ReleaseArgument,
    store: StoreOption = None,
    project: ProjectOfOption = None,
    as_of: Annotated[
        str,
        typer.Option(help="Moment that users are embedded at: `log-end`, `now`, or a time, 2024-05-01T12:00Z."),
    ] = "log-end",
    engine: EngineOption = "auto",
    workers: Annotated[
        int, typer.Option(min=1, help="Worker processes of the engine; TensorFlow alone uses all cores of a machine.")
    ] = 1,
    address: AddressOption = None,
    beam_options: BeamOption = None,
    reference: Annotated[
        str | None, typer.Option(help="The version whose space is kept, or `new`; by default the store's reference.")
    ] = None,
    force: ForceCheckOption = None,
    as_json: JsonOption = False,
) -> None:
    """Embed all items, users and frequent queries, and publish them in the store that other teams read.

    An interrupted run goes on from its finished shards. Nothing is published past a check that fails.

    Example: `unified-ranker export-embeddings releases/latest`

    Example: `unified-ranker export-embeddings releases/latest --store redis://localhost:6379/0 --as-of now`
    """
    from unified_ranker.commands.embeddings import run_export
    from unified_ranker.engines.by_name import EngineChoice

    choice = EngineChoice(engine, workers, address, tuple(beam_options or ()))
    run_export(release, store, project, as_of, choice, reference, tuple(force or ()), as_json)


@app.command("refresh")
def refresh_command(
    release: ReleaseArgument,
    events: Annotated[
        str,
        typer.Option(
            help="Events to follow: the service's store (a directory or redis://…), or a directory of Parquet tables."
        ),
    ],
    store: StoreOption = None,
    project: ProjectOfOption = None,
    items: Annotated[Path | None, typer.Option(help="Directory that receives Parquet tables of new items.")] = None,
    poll_seconds: Annotated[float, typer.Option(min=0.05, help="Seconds between two searches for new events.")] = 0.5,
    once: Annotated[bool, typer.Option("--once", help="Process the events that are there, then stop.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check", help="Compare the store with vectors computed anew, and stop. Exit code 1: they differ."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Keep published vectors fresh: users with new events, and new items, within seconds.

    Example: `unified-ranker refresh releases/latest --events releases/.serving`

    Example: `unified-ranker refresh releases/latest --events incoming/events --items incoming/items --once`
    """
    from unified_ranker.commands.refresh import run_check, run_refresh

    if check:
        if not run_check(release, store, project, events, items, as_json):
            raise typer.Exit(1)
    else:
        run_refresh(release, store, project, events, items, poll_seconds, once, as_json)
