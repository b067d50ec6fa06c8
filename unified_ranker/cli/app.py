"""Typer application, with what all commands share: error messages, display of progress, logging."""

import contextlib
import logging
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from unified_ranker.cli.console import remark, say
from unified_ranker.core.errors import UserError
from unified_ranker.core.progress import listening
from unified_ranker.core.progress_display import ProgressDisplay
from unified_ranker.core.version import __version__

BUILDING, MEASURING, ANSWERING, PUBLISHING, SIMULATING = (
    "Building a release", "Comparing and tuning", "Answering requests", "Publishing vectors", "Simulating",
)  # fmt: skip
"""Panels of `--help`."""


class Commands(TyperGroup):
    """Group of all commands. A user's mistake gives one message on standard error and exit code 2."""

    def invoke(self, ctx: Any) -> Any:
        """Run a command. Errors are caught here and not in `main`: Typer ends an interrupted one without a message."""
        display = ProgressDisplay()
        try:
            with listening(display), contextlib.closing(display):
                return super().invoke(ctx)
        except UserError as error:
            remark(f"error: {error}", "bad")
            raise typer.Exit(2) from error
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            if package in ("", "unified_ranker"):
                raise
            remark(
                f"error: this command needs the package `{package}`, which is not installed. Install the wheel of "
                "unified_ranker without `--no-deps`; docs/guide/install.md says what the smaller installs can do.",
                "bad",
            )
            raise typer.Exit(2) from error
        except KeyboardInterrupt as error:
            # The newline puts the message below the ^C that a terminal prints.
            remark("\ninterrupted; finished stages and releases are intact, the next run continues from there")
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


@app.callback(invoke_without_command=True)
def root_options(
    version: Annotated[bool, typer.Option("--version", help="Print the version and stop.")] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Log progress and decisions to standard error.")
    ] = False,
) -> None:
    """One trained model for search, more-like-this and the home feed."""
    logging.basicConfig(
        level=logging.INFO if verbose else logging.WARNING, format="%(levelname)s %(name)s: %(message)s"
    )
    if version:
        say(__version__)
        raise typer.Exit
