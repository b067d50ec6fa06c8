"""Commands on a service's events: `events export`."""

from pathlib import Path
from typing import Annotated

import typer

from unified_ranker.cli.app import ANSWERING, CommandApp, app
from unified_ranker.cli.console import print_json, say
from unified_ranker.cli.options import JsonOption
from unified_ranker.core.errors import UserError
from unified_ranker.core.places import DIRECTORY, scheme_of

events_app = CommandApp(no_args_is_help=True, rich_markup_mode="markdown")
app.add_typer(
    events_app,
    name="events",
    rich_help_panel=ANSWERING,
    help="""Read the events that a service has stored.

    Example: `unified-ranker events export releases/.serving live.parquet --without events.parquet`
    """,
)


@events_app.command("export")
def export_events_command(
    store: Annotated[str, typer.Argument(help="Store of events: a directory, or redis://host:port/database.")],
    target: Annotated[Path, typer.Argument(help="Parquet file to write, in the form of the interaction log.")],
    without: Annotated[
        Path | None,
        typer.Option(help="Parquet events of the warehouse, which are left out, so that each counts once."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write the events of a service as a table for the next training; the service may go on.

    Example: `unified-ranker events export releases/.serving live.parquet`

    Example: `unified-ranker events export redis://localhost:6379/0 live.parquet --without warehouse/events`
    """
    from unified_ranker.events.base import StoreError
    from unified_ranker.events.open_histories import open_history_store
    from unified_ranker.project.exported_events import export_events

    if scheme_of(store) == DIRECTORY and not Path(store).is_dir():
        raise UserError(f"`store` must be the store of a service. Received: `{store}`, which is no directory.")
    if not target.parent.is_dir():
        raise UserError(f"the directory of `{target}` must exist. Make it, or name another file.")
    opened = open_history_store(store)
    try:
        found = export_events(opened, target, without)
    except StoreError as error:
        raise UserError(f"the store of events must answer. Received: {error}.") from error
    finally:
        opened.close()
    if as_json:
        print_json({"events": found.read, "known": found.known, "written": found.written, "file": str(target)})
        return
    say(f"{found.read:,} events of the service, {found.known:,} of them in the other log: {found.written:,} written")
    if without is not None and found.written:
        query = f"SELECT * FROM '{without}' UNION ALL BY NAME SELECT * FROM '{target}'"  # noqa: S608  # a line to copy
        say(f'for project.yaml: `data.events: {{sql: "{query}"}}`')
