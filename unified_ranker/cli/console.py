"""Console: results on standard output, notes and errors on standard error, JSON for programs.

Every line of the command line goes through here, so that pipes and `--json` stay clean. Progress has a display of its
own, whose bar stays below the printed lines.
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
"""Width of a line, in characters, where the output is no terminal: tables in files are never cut."""


def say(text: str = "", tone: Tone = "plain") -> None:
    """Print a line of the result; `tone` colours it at a terminal."""
    _line(text, tone, error=False)


def remark(text: str, tone: Tone = "plain") -> None:
    """Print a line that is not part of the result, on standard error."""
    _line(text, tone, error=True)


def warn(text: str) -> None:
    """Print a note that the user should know and that does not stop the command."""
    remark(f"note: {text}", "warning")


def say_check(line: str) -> None:
    """Print a line that begins with PASS, WARN or FAIL, in the colour of its verdict."""
    tones: dict[str, Tone] = {"FAIL": "bad", "WARN": "warning"}
    say(line, tones.get(line.partition(" ")[0], "plain"))


def print_json(document: Any) -> None:
    """Print a JSON document: on one line for programs, indented at a terminal."""
    with above_bars():
        print(json.dumps(document, indent=2 if sys.stdout.isatty() else None), flush=True)


def print_table(
    title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[str] | None = None
) -> None:
    """Print a table below its title.

    Args:
        title: line above the table.
        columns: names, which may be empty.
        rows: cells `[rows, columns]`, printed as they are: brackets are not read as markup.
        left: columns that are aligned left; by default the first. The others are aligned right.
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
    """Return a console on the current stream: tests and callers may replace `sys.stdout`."""
    from rich.console import Console

    console = Console(soft_wrap=True, highlight=False, emoji=False, stderr=error)
    if not console.is_terminal:
        console.width = _WIDE
    return console
