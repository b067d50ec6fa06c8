"""Keeps two runs out of one directory, and says before anything runs that a directory cannot be written."""

import contextlib
import fcntl
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from unified_ranker.core.errors import UserError


@contextlib.contextmanager
def claim(directory: Path, lock: str, setting: str) -> Iterator[None]:
    """Keep other runs out of `directory`, which is made where it is absent and removed again if it stays empty.

    The lock (`flock` on a file in it, which holds the process id) ends with the process, however that dies; the file
    that a killed process leaves behind keeps nobody out.

    Args:
        directory: what to claim.
        lock: name of the lock's file in it.
        setting: the declaration or the option that names the directory, for errors.

    Raises:
        UserError: another run has it, or it cannot be written. At once; nobody waits.
    """
    with _made(directory, setting):
        file = directory / lock
        held = _take(file, setting)
        try:
            yield
        finally:
            # Unlinked before it is freed, so that nobody can take a file that is about to go.
            file.unlink(missing_ok=True)
            held.close()


def require_writable(directory: Path, setting: str) -> None:
    """Try to write into `directory`, and leave no trace.

    Raises:
        UserError: it cannot be made, is no directory, or takes no file.
    """
    with _made(directory, setting):
        try:
            with tempfile.TemporaryFile(dir=directory):
                pass
        except OSError as error:
            raise _unwritable(directory, setting, error) from error


@contextlib.contextmanager
def _made(directory: Path, setting: str) -> Iterator[None]:
    """Make a directory for the time of a block; whichever directories were made and are empty behind it go again."""
    absent = [path for path in (directory, *directory.parents) if not path.exists()]
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable(directory, setting, error) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # The first that is not empty ends it.
            for path in absent:
                path.rmdir()


def _take(file: Path, setting: str) -> TextIO:
    """Open and lock a file, and write the process id into it."""
    while True:
        try:
            stream = file.open("a+", encoding="utf-8")
        except OSError as error:
            if not file.parent.exists():
                # Another run ended just now and took the directory with it.
                file.parent.mkdir(parents=True, exist_ok=True)
                continue
            raise _unwritable(file.parent, setting, error) from error
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            pid = stream.read().strip()
            stream.close()
            who = f"another build (pid {pid})" if pid else "another build"
            raise UserError(f"{who} is running in `{file.parent}`. Wait for it, or stop it.") from error
        # Between opening and locking, the run before may have removed the file.
        if file.exists() and os.path.samestat(os.fstat(stream.fileno()), file.stat()):
            break
        stream.close()
    stream.truncate(0)
    stream.write(str(os.getpid()))
    stream.flush()
    return stream


def _unwritable(directory: Path, setting: str, error: OSError) -> UserError:
    another = f"{setting} PATH" if setting.startswith("-") else f"--set {setting}=PATH"
    return UserError(
        f"`{setting}` must be a directory that can be written. Received: `{directory}`: {error.strerror}. "
        f"Change its permissions, or name another with {another}."
    )
