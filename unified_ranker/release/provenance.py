"""Provenance of a release: the commit of the engine and the versions of its libraries."""

import contextlib
import subprocess
import sys
from importlib import metadata
from pathlib import Path

LIBRARIES = (
    "unified_ranker", "tensorflow", "tf-keras", "tensorflow-recommenders", "scann", "tensorflow-serving-api",
    "apache-beam", "numpy", "pandas", "pyarrow", "protobuf",
)  # fmt: skip


def library_versions() -> dict[str, str]:
    """Return the versions of Python and of the libraries that are installed."""
    out = {"python": sys.version.split()[0]}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            out[name] = metadata.version(name)
    return out


def git_commit(file: Path = Path(__file__)) -> str | None:
    """Return the commit of the checkout of a file of the engine, with "-dirty" for local changes; None outside one."""
    try:
        # The engine may be installed inside the checkout of another repository, whose commit is not the engine's.
        _git(file.parent, "ls-files", "--error-unmatch", file.name)
        head, status = _git(file.parent, "rev-parse", "HEAD"), _git(file.parent, "status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("-dirty" if status else "")


def _git(directory: Path, *arguments: str) -> str:
    return subprocess.run(["git", *arguments], cwd=directory, capture_output=True, text=True, check=True).stdout.strip()
