"""Options that several commands take."""

from pathlib import Path
from typing import Annotated

import typer

ProjectOption = Annotated[
    Path, typer.Option("--project", "-p", help="Directory with project.yaml, towers/, tasks/ and export/.")
]
SetOption = Annotated[
    list[str] | None,
    typer.Option(
        "--set", help="Override a declaration: path.in.config=value, or @FILE with one a line. May be repeated."
    ),
]
SourceOption = Annotated[
    Path | None, typer.Option("--source", help="MovieLens only: GroupLens' own ml-100k.zip, or its directory.")
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--tasks", help="Train a model of these tasks alone; repeat it, or use commas."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if the result is up to date.")]
ForceCheckOption = Annotated[
    list[str] | None,
    typer.Option("--force", help="Name of a check that may fail; the manifest records it. May be repeated."),
]
RequireBaselineOption = Annotated[
    bool,
    typer.Option(
        "--require-baseline",
        help="Release nothing, and end with an error, if a task is below its best baseline on NDCG@10, even by chance.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EngineOption = Annotated[
    str,
    typer.Option(
        help="Engine of the stages: auto (Apache Beam, or this process for small logs), beam, dask or in-process."
    ),
]
WorkersOption = Annotated[int, typer.Option(min=0, help="Worker processes of the engine; 0 = one a core.")]
AddressOption = Annotated[
    str | None, typer.Option("--engine-address", help="dask only: a running scheduler, tcp://host:8786.")
]
BeamOption = Annotated[
    list[str] | None,
    typer.Option("--beam-option", help="beam only: one of its pipeline options, --runner=…; may be repeated."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="A release whose items and users keep their numbers, so that training can continue from it. It stays in "
        "force for later stages until `--since none`.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="A release to continue from with the new events, instead of starting over (run prepare --since first). It "
        "stays in force for later stages until `--from none`.",
    ),
]
ReleaseArgument = Annotated[Path, typer.Argument(help="A release, such as releases/latest.")]
ProjectOfReleaseOption = Annotated[
    Path | None, typer.Option("--project", "-p", help="Project of the histories; by default the release's own.")
]
