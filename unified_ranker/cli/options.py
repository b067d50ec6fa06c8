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
        "--set", help="Override a declaration: path.in.config=value, or @FILE with one on each line. May be repeated."
    ),
]
SourceOption = Annotated[
    Path | None,
    typer.Option("--source", help="MovieLens only: ml-100k.zip of GroupLens, or the directory unpacked from it."),
]
TasksOption = Annotated[
    list[str] | None,
    typer.Option("--tasks", help="Tasks to train the model for, separated by commas; may be repeated. By default all."),
]
TrainedTasksOption = Annotated[
    list[str] | None,
    typer.Option(
        "--tasks",
        help="Tasks of the model that is meant, as `train` was given them, separated by commas; may be repeated. By "
        "default all.",
    ),
]
ForceOption = Annotated[bool, typer.Option("--force", help="Run even if the result is up to date.")]
ForceCheckOption = Annotated[
    list[str] | None,
    typer.Option("--force", help="Name of a check that may fail; the manifest records it. May be repeated."),
]
MinutesOption = Annotated[
    float | None,
    typer.Option(
        min=0.1,
        help="Minutes that training may take: as many epochs as fit, while they gain. By default as declared.",
    ),
]
RequireBaselineOption = Annotated[
    bool,
    typer.Option(
        "--require-baseline",
        help="End with an error and no release if a task is below its best baseline on NDCG@10, significantly or not.",
    ),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]
EngineOption = Annotated[
    str,
    typer.Option(
        help="Engine of the stages: auto (Apache Beam, or this process for small logs), beam, dask or in-process."
    ),
]
WorkersOption = Annotated[int, typer.Option(min=0, help="Worker processes of the engine; 0 = one for each core.")]
AddressOption = Annotated[
    str | None, typer.Option("--engine-address", help="dask only: a running scheduler, tcp://host:8786.")
]
BeamOption = Annotated[
    list[str] | None,
    typer.Option("--beam-option", help="beam only: a pipeline option such as --runner=…; may be repeated."),
]
SinceOption = Annotated[
    str | None,
    typer.Option(
        "--since",
        help="Release whose numbering of items and users is kept, so that training can continue from it. Later stages "
        "use it, too, until `--since none`.",
    ),
]
FromOption = Annotated[
    str | None,
    typer.Option(
        "--from",
        help="Release whose training continues with the new events, instead of starting anew (run prepare --since "
        "first). Later stages use it, too, until `--from none`.",
    ),
]
ReleaseArgument = Annotated[Path, typer.Argument(help="Directory of a release, such as releases/latest.")]
ProjectOfReleaseOption = Annotated[
    Path | None,
    typer.Option("--project", "-p", help="Project whose log has the users' histories; by default the release's own."),
]
