"""Files and directories that appear whole or not at all: each is written as a draft beside it, then renamed."""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from unified_ranker.core.errors import UserError

_READABLE = 0o644
"""Mode of a file that others may read; `tempfile` makes files that only their owner can read."""


@contextlib.contextmanager
def whole_file(file: Path, durable: bool = False) -> Iterator[Path]:
    """Yield the path of an empty draft beside a file, which is renamed to the file when the block ends without error.

    Anything that goes wrong removes the draft and leaves what was there.

    Args:
        file: to write; its directory must exist.
        durable: whether to wait for the disk, so that the file outlives the failure of the machine.
    """
    handle, name = tempfile.mkstemp(prefix=f".{file.name}-", dir=file.parent)
    os.close(handle)
    draft = Path(name)
    try:
        yield draft
        draft.chmod(_READABLE)
        if durable:
            flush(draft)
        draft.replace(file)
        if durable:
            flush(file.parent)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise


def write_whole(file: Path, text: str, durable: bool = False) -> None:
    """Write a text file whole or not at all; see `whole_file`."""
    with whole_file(file, durable) as draft:
        draft.write_text(text, encoding="utf-8")


@contextlib.contextmanager
def whole_directory(directory: Path, replace: bool = False) -> Iterator[Path]:
    """Yield the path of a draft beside a directory, and rename it to the directory when the block ends without error.

    Anything that goes wrong removes the draft and leaves what was there. `clear_drafts` removes the
    drafts of killed processes.

    Args:
        directory: to make; directories above it are made.
        replace: whether an existing directory is replaced.

    Raises:
        OSError: the draft cannot be renamed, for example because another directory with files is there.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{directory.name}-"
    # Beside it, because a rename works only within one file system. The replaced directory is deleted with it.
    with tempfile.TemporaryDirectory(prefix=prefix, dir=directory.parent, ignore_cleanup_errors=True) as scratch:
        draft, old = Path(scratch, "new"), Path(scratch, "old")
        draft.mkdir()
        yield draft
        try:
            if replace and directory.exists():
                directory.rename(old)
            draft.rename(directory)
        except BaseException:
            if old.exists() and not directory.exists():
                old.rename(directory)
            raise


def clear_drafts(folder: Path, name: str = "*") -> None:
    """Remove the drafts of directories that killed processes left in `folder`; no other process may be writing there.

    Args:
        folder: in which the directories lie.
        name: of the directories, as a pattern.
    """
    for draft in folder.glob(f".{name}-*"):
        shutil.rmtree(draft)


def numbered_entries(directory: Path) -> dict[int, Path]:
    """Return what is in a directory under whole numbers as we write them, ascending; nothing where there is none.

    Other names are no number of ours: `007`, which would be a second 7, and `²`, which Python takes for a digit.
    """
    if not directory.is_dir():
        return {}
    digits = [path for path in directory.iterdir() if path.name.isascii() and path.name.isdigit()]
    return dict(sorted((int(path.name), path) for path in digits if path.name == str(int(path.name))))


def flush(path: Path) -> None:
    """Wait until a file, or the names in a directory, are on the disk."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def made_directory(directory: Path, setting: str) -> Iterator[None]:
    """Make a directory for the time of a block; directories that it made are removed afterwards if they are empty.

    Args:
        directory: to make; directories above it are made.
        setting: the declaration or option that names it, for the error.

    Raises:
        UserError: it cannot be made.
    """
    absent = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(directory, setting, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # The first directory that is not empty ends the loop.
            for path in absent:
                path.rmdir()


def require_writable(directory: Path, setting: str) -> None:
    """Check that a directory can be written, by a file that is removed again.

    Args:
        directory: to write into.
        setting: the declaration or option that names it, for the error.

    Raises:
        UserError: it cannot be made, is no directory, or takes no file.
    """
    with made_directory(directory, setting):
        try:
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise unwritable(directory, setting, error) from error


def unwritable(directory: Path, setting: str, error: OSError) -> UserError:
    """Build the error for a directory that takes no file; `setting` is the declaration or option that names it."""
    another = f"{setting} PATH" if setting.startswith("-") else f"--set {setting}=PATH"
    return UserError(
        f"`{setting}` must be a directory that can be written. Received: `{directory}`: {error.strerror}. "
        f"Its content is unchanged. Make room or change its permissions, or name another with {another}."
    )
