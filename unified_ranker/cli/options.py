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
    typer.Option("--tasks", help="A model of these tasks alone; repeated, or with commas."),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Do this again, even when it is up to date.")]
ForceCheckOption = Annotated[
    list[str] | None,
    typer.Option("--force", help="A check that may fail, by name; the manifest keeps it. Repeatable."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EngineOption = Annotated[
    str,
    typer.Option(
        help="What carries the stages: auto (Apache Beam, this process for small logs), beam, dask or in-process."
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
        help="A release whose items and users keep their places, so that training can go on from it; later stages keep "
        "to it until `--since none`.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="A release to go on from with what is new, instead of starting over (prepare --since it first); later "
        "stages keep to it until `--from none`.",
    ),
]
