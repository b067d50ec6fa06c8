"""Command that begins a project: `init`."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from unified_ranker.cli.app import BUILDING, app
from unified_ranker.cli.console import print_table, remark, say, say_check, warn
from unified_ranker.core.errors import UserError

if TYPE_CHECKING:
    from unified_ranker.project.init.project_plan import ProjectPlan

_SOURCE = "file, pattern of files, or query: Parquet, CSV with any delimiter, JSON, compressed or not"


@app.command("init", rich_help_panel=BUILDING)
def init_command(
    directory: Annotated[Path, typer.Argument(help="Directory of the new project.")],
    events: Annotated[str | None, typer.Option(help=f"Table of events: {_SOURCE}.")] = None,
    items: Annotated[
        str | None, typer.Option(help="Table of items; by default the items are those of the events.")
    ] = None,
    users: Annotated[str | None, typer.Option(help="Table of users, if there is one.")] = None,
    tables: Annotated[
        Path | None,
        typer.Option(
            "--from", help="Directory whose files are looked at: which holds the events, the items, the users."
        ),
    ] = None,
    columns: Annotated[
        list[str] | None,
        typer.Option(
            "--map", help="Column of ours and of theirs: user_id=visitorid, items.title=prod_name. May be repeated."
        ),
    ] = None,
    task: Annotated[str | None, typer.Option(help="Surface of all events, such as home_feed.")] = None,
    event_type: Annotated[str | None, typer.Option(help="Type of all events, such as purchase.")] = None,
    order: Annotated[
        Literal["time", "row"], typer.Option(help="`row`: the log has no times, and its rows are in order.")
    ] = "time",
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Take the proposed columns without asking.")] = False,
) -> None:
    """Write a project for a log by looking at its tables.

    Columns may have any names: their names and values say what they are, and at a terminal you are asked. A query reads
    files by their paths relative to the project.

    Example: `unified-ranker init shop --from downloads/shop`
    """
    from unified_ranker.project.init.project_plan import Given, plan_project
    from unified_ranker.project.init.serving_text import SERVING_DIRECTORY
    from unified_ranker.project.init.write_project import certain, require_free, write_plan

    require_free(directory)
    named = {name: table for name, table in (("events", events), ("items", items), ("users", users)) if table}
    plan = plan_project(directory, Given(named, tables, tuple(columns or ()), task, event_type, order))
    for reason in plan.unread:
        warn(reason)
    for name, reason in plan.unused.items():
        remark(f"not used: {name}: {reason} (name with --items or --users what belongs to the log)")
    show_plan(plan)
    at_terminal = sys.stdin.isatty() and not yes
    plan = asked(plan) if at_terminal else plan
    written = write_plan(directory, certain(plan, yes or at_terminal), announce=remark)
    folder = directory / SERVING_DIRECTORY
    serving = [file for file in written.files if file.is_relative_to(folder)]
    for file in written.files:
        if file not in serving:
            say(f"wrote {file}")
    say(f"wrote {folder} ({len(serving)} files to serve releases with: compose, Kubernetes, alerts)")
    if written.failing:
        say("\nThe data are not ready. `unified-ranker validate` will fail, and so will `build`:", "warning")
        for check in written.failing:
            say_check(check.line())
        say(f"\nMend that first, by what stands behind each arrow, and read the comments in {directory}. Then run:")
        say(f"  unified-ranker validate --project {directory}")
        return
    say(f"\nRead the comments in {directory}, correct what you know better, then run:")
    say(f"  unified-ranker build --project {directory}")


def show_plan(plan: "ProjectPlan") -> None:
    """Print the tables and columns of a plan, if there is anything to say: columns that are not taken as they are."""
    if all(choice.plain for choice in plan.choices):
        return
    for name, table in plan.tables.items():
        say(f"{name}: {table.name}")
    if plan.title:
        say(f"layout: {plan.title}")
    rows = [[c.path, c.shown, c.doubt or c.why] for c in plan.choices]
    print_table("columns", ["ours", "theirs", "why"], rows, left=["ours", "theirs", "why"])


def asked(plan: "ProjectPlan") -> "ProjectPlan":
    """Ask at a terminal until the columns are as the person wants them."""
    while True:
        for choice in plan.doubts:
            warn(f"{choice.path}: {choice.doubt}")
        question = "Enter to accept, or OURS=THEIRS to change" if not plan.missing else "OURS=THEIRS"
        text = typer.prompt(question, default="", show_default=False)
        if not text.strip() and not plan.missing:
            return plan
        try:
            plan = plan.with_columns([text])
        except UserError as error:
            warn(str(error))
            continue
        show_plan(plan)
