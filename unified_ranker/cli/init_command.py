"""Command that begins a project: `init`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import BUILDING, app
from unified_ranker.cli.console import remark, say


@app.command("init", rich_help_panel=BUILDING)
def init_command(
    directory: Annotated[Path, typer.Argument(help="Directory of the new project.")],
    events: Annotated[Path, typer.Option(help="Parquet or CSV table of events.")],
    items: Annotated[Path, typer.Option(help="Parquet or CSV table of items.")],
    users: Annotated[Path | None, typer.Option(help="Parquet or CSV table of users, if there is one.")] = None,
) -> None:
    """Write a project for a log by looking at its columns.

    Example: `unified-ranker init shop --events events.parquet --items items.parquet`
    """
    from unified_ranker.project.init.serving_text import SERVING_DIRECTORY
    from unified_ranker.project.init.write_project import init_project

    written = init_project(directory, events, items, users, announce=remark)
    folder = directory / SERVING_DIRECTORY
    serving = [file for file in written if file.is_relative_to(folder)]
    for file in written:
        if file not in serving:
            say(f"wrote {file}")
    say(f"wrote {folder} ({len(serving)} files to serve releases with: compose, Kubernetes, alerts)")
    say(f"\nRead the comments in {directory}, correct what you know better, then run:")
    say(f"  unified-ranker build --project {directory}")
