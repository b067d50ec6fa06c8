"""Console: answers on standard output, remarks and errors on standard error, JSON for programs.

Every line of the command line goes through here, so that pipes and `--json` stay clean. Progress has a display of its
own, whose bar stays below what is printed.
"""

import json
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Literal

from unified_ranker.core.progress_display import above_bars

if TYPE_CHECKING:
    from rich.console import Console

Tone = Literal["plain", "good", "warning", "bad"]
_COLOURS = {"plain": "", "good": "green", "warning": "yellow", "bad": "red"}
_WIDE = 1_000
"""Columns of a line where the output is no terminal: tables in files are never cut."""


def say(text: str = "", tone: Tone = "plain") -> None:
    """Print a line of the answer; `tone` colours it at a terminal."""
    _line(text, tone, error=False)


def remark(text: str, tone: Tone = "plain") -> None:
    """Print a line that is no part of the answer."""
    _line(text, tone, error=True)


def warn(text: str) -> None:
    """Print a note on something that the user should know, and that does not stop the command."""
    remark(f"note: {text}", "warning")


def say_check(line: str) -> None:
    """Print a line that begins with PASS, WARN or FAIL, in the colour of its verdict."""
    tones: dict[str, Tone] = {"FAIL": "bad", "WARN": "warning"}
    say(line, tones.get(line.partition(" ")[0], "plain"))


def print_json(document: Any) -> None:
    """Print a document for programs, on one line; at a terminal on many."""
    with above_bars():
        print(json.dumps(document, indent=2 if sys.stdout.isatty() else None), flush=True)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[str] | None = None
) -> None:
    """Print a table below its title.

    Args:
        title: above the table.
        columns: names; may be "".
        rows: cells `[rows, columns]`, printed as they are: brackets are no markup.
        left: columns of text, which begin at the left; by default the first one. Numbers end at the right.
    """
    from rich.table import Table
    from rich.text import Text

    of_text = columns[:1] if left is None else left
    table = Table(title=Text(title), title_justify="left")
    for name in columns:
        table.add_column(Text(name), justify="left" if name in of_text else "right")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    with above_bars():
        _console(error=False).print(table)


def _line(text: str, tone: Tone, error: bool) -> None:
    with above_bars():
        _console(error).print(text, markup=False, style=_COLOURS[tone])


def _console(error: bool) -> "Console":
    """Return a console of the stream as it is now: tests and callers exchange it."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, emoji=False, stderr=error)
    if not console.is_terminal:
        console.width = _WIDE
    return console
