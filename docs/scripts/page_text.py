"""Markdown of generated pages: tables, and docstrings in Google's style."""

import inspect
import re
import textwrap
from collections.abc import Iterable, Sequence

SECTIONS = ("Args", "Attributes", "Returns", "Yields", "Raises", "Reference", "References", "Example", "Examples")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; empty without rows."""
    lines = [f"| {' | '.join(cell(c) for c in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]) if lines else ""


def cell(text: str) -> str:
    """Return text as it may stand in a cell."""
    return " ".join(text.split()).replace("|", "\\|")


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: paragraphs, and a list for each section such as `Args:`."""
    lines = inspect.cleandoc(docstring or "").splitlines()
    parts: list[str] = []
    while lines:
        name = lines[0].rstrip().removesuffix(":")
        if lines[0].rstrip().endswith(":") and name in SECTIONS:
            body = []
            lines.pop(0)
            while lines and (not lines[0].strip() or lines[0].startswith(" ")):
                body.append(lines.pop(0))
            text = _code(body) if name == "Example" else _entries(body)
            parts.append(f"\n**{name}**\n\n{text}\n")
        else:
            parts.append(lines.pop(0))
    return re.sub(r"\n{3,}", "\n\n", "\n".join(parts)).strip()


def _code(body: list[str]) -> str:
    """Return the code of an example; a command in backticks stays text."""
    text = textwrap.dedent("\n".join(body)).strip()
    return text if text.startswith("`") else f"```python\n{text}\n```"


def _entries(body: list[str]) -> str:
    """Return the entries of a section, `name: text`, as a list; text that has no names stays a paragraph."""
    text = textwrap.dedent("\n".join(body)).splitlines()
    entries: list[str] = []
    for line in text:
        if line.startswith(" ") and entries:
            entries[-1] += f" {line.strip()}"
        elif line.strip():
            entries.append(line.strip())
    named = [re.match(r"`?([\w*., ]+?)`?(?: \([^)]*\))?: (.+)", entry) for entry in entries]
    if not all(named):
        return " ".join(entries)
    return "\n".join(f"- `{match[1].strip()}`: {match[2]}" for match in named if match)
