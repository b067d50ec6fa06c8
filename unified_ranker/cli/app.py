"""Typer application, with what all commands share: error messages, display of progress, logging."""

import contextlib
import functools
import logging
from collections.abc import Callable
from typing import Annotated, Any, TypeVar, cast

import typer
from typer.core import TyperGroup

from unified_ranker.cli.console import remark, say
from unified_ranker.core.errors import UserError
from unified_ranker.core.numbers import MOST_OPTION, is_bounded, number_text
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


Callback = TypeVar("Callback", bound=Callable[..., Any])


class CommandApp(typer.Typer):
    """Typer application or group whose commands check the numbers of their options and arguments."""

    def command(self, name: str | None = None, **settings: Any) -> Callable[[Callback], Callback]:
        """Register a command; see `typer.Typer.command`."""
        register = super().command(name, **settings)
        return lambda callback: register(_with_bounded_numbers(callback))


def _with_bounded_numbers(callback: Callback) -> Callback:
    """Check the numbers that a command gets: Typer lets infinity, NaN and integers of any number of digits pass."""

    @functools.wraps(callback)
    def checked(*arguments: Any, **options: Any) -> Any:
        for name, value in options.items():
            is_number = isinstance(value, int | float) and not isinstance(value, bool)
            if is_number and not is_bounded(value, -MOST_OPTION, MOST_OPTION):
                raise UserError(
                    f"`{name.replace('_', '-')}` must be a number from -{MOST_OPTION:,} to {MOST_OPTION:,}. "
                    f"Received: {number_text(value)}."
                )
        return callback(*arguments, **options)

    return cast(Callback, checked)


app = CommandApp(
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
