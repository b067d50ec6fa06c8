"""Cache of a stage's output: a directory with a stamp, which is reused while its key is the same."""

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from unified_ranker.core.files import whole_directory

STAMP = "stamp.json"


def fresh(directory: Path, key: str) -> bool:
    """Tell whether `directory` holds the finished output of a stage for `key`."""
    return is_finished(directory) and stamp_of(directory).get("key") == key


def is_finished(directory: Path) -> bool:
    """Tell whether `directory` holds the finished output of a stage, for whichever key."""
    return (directory / STAMP).is_file()


def stamp_of(directory: Path) -> dict[str, Any]:
    """Return the stamp of a finished stage: `key`, and its notes."""
    stamp: dict[str, Any] = json.loads((directory / STAMP).read_text(encoding="utf-8"))
    return stamp


@contextlib.contextmanager
def fill(directory: Path, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield a draft of `directory` and a dict for its stamp; without an error the draft then replaces the directory.

    After an error the old contents are unchanged.
    """
    with whole_directory(directory, replace=True) as draft:
        notes: dict[str, Any] = {}
        yield draft, notes
        (draft / STAMP).write_text(json.dumps({"key": key, **notes}, indent=2), encoding="utf-8")
