"""Layouts of published logs whose tables must be joined or have no header: a file each in layouts/.

A file holds the patterns of the log's files, the beginning of their first lines, and the data as project.yaml declares
them, with `{name}` for the path of a file.
"""

import gzip
from collections.abc import Iterator, Mapping
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field

from unified_ranker.config.declaration import Declaration
from unified_ranker.reading.duck import sql_text

_BEGINNING = 1024
"""Bytes of a file that are compared."""


class LayoutFile(Declaration):
    """File of a published log."""

    file: str
    """Its name or pattern, below the log's directory."""
    begins: str
    """Beginning of its first line."""


class PublishedLayout(Declaration):
    """Layout of a published log."""

    title: str
    """The log's name."""
    files: dict[str, LayoutFile]
    """Its files, by the names that `data` has for them."""
    notes: dict[str, str] = Field(default_factory=dict)
    """Reasons for how a table is read, by table."""
    data: dict[str, Any]
    """Its tables as in project.yaml."""


def find_layout(directory: Path) -> tuple[PublishedLayout, dict[str, Path]] | None:
    """Return the layout whose files are all in a directory, with their paths or patterns; None where none fits."""
    for layout in published_layouts():
        found = {name: _find(directory, file) for name, file in layout.files.items()}
        paths = {name: path for name, path in found.items() if path is not None}
        if len(paths) == len(found):
            return layout, paths
    return None


def published_layouts() -> Iterator[PublishedLayout]:
    """Yield the layouts, in order of their files' names."""
    folder = resources(__package__) / "layouts"
    for file in sorted(folder.iterdir(), key=lambda entry: entry.name):
        if file.name.endswith(".yaml"):
            yield PublishedLayout.model_validate(yaml.safe_load(file.read_text(encoding="utf-8")))


def fill_in(declared: Any, paths: Mapping[str, str]) -> Any:
    """Return declared tables with the paths of files in the place of their names."""
    if isinstance(declared, dict):
        return {key: fill_in(value, paths) for key, value in declared.items()}
    if not isinstance(declared, str):
        return declared
    for name, path in paths.items():
        # In a query the path stands in quotes, which are doubled within.
        declared = declared.replace(f"'{{{name}}}'", sql_text(path)).replace(f"{{{name}}}", path)
    return declared


def _find(directory: Path, file: LayoutFile) -> Path | None:
    """Return the path of a file, or the pattern of several; None where none begins as it must."""
    for pattern in (file.file, f"{file.file}.gz"):
        there = sorted(directory.glob(pattern))
        if there and all(_first_line(path).startswith(file.begins) for path in there):
            return there[0] if len(there) == 1 else directory / pattern
    return None


def _first_line(path: Path) -> str:
    with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
        begin = stream.read(_BEGINNING)
    return begin.decode("utf-8-sig", "replace").partition("\n")[0]
