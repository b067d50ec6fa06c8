"""Lock of a directory: one process at a time works in it. The lock ends with the process, even if it is killed."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import made_directory, unwritable


@contextlib.contextmanager
def lock(directory: Path, name: str, doing: str, setting: str) -> Iterator[None]:
    """Lock a directory for the time of a block. It is made if absent, and removed again if it stays empty.

    The lock is `flock` on a file that holds the process id. The file that a killed process leaves locks nothing.

    Args:
        directory: what to lock.
        name: of the lock's file in it.
        doing: what the holder does, such as "building", for the error.
        setting: the declaration or option that names the directory, for errors.

    Raises:
        UserError: at once, without waiting: another process has the lock, or the directory cannot be written.
    """
    with made_directory(directory, setting):
        file = directory / name
        held = _take(file, doing, setting)
        try:
            yield
        finally:
            # Unlinked before it is unlocked, so that no other process locks a file that is about to be removed.
            file.unlink(missing_ok=True)
            os.close(held)


def taken(locked: str, doing: str, who: str) -> UserError:
    """Build the error for a directory or a store that another process has locked; `who` names it, such as "pid 7"."""
    return UserError(
        f"another process ({who}) is {doing} in `{locked}`, and only one may at a time. Wait for it, or stop it."
    )


def _take(file: Path, doing: str, setting: str) -> int:
    """Open and lock a file, and write the process id into it; returns its descriptor."""
    while True:
        try:
            held = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as error:
            if not file.parent.exists():
                # Another process ended just now and took the directory with it.
                file.parent.mkdir(parents=True, exist_ok=True)
                continue
            raise unwritable(file.parent, setting, error) from error
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            who = os.pread(held, 20, 0).decode()
            os.close(held)
            raise taken(str(file.parent), doing, f"pid {who or 'unknown'}") from error
        # Between opening and locking, the process before may have removed the file.
        if file.exists() and os.path.samestat(os.fstat(held), file.stat()):
            break
        os.close(held)
    try:
        os.ftruncate(held, 0)
        os.pwrite(held, str(os.getpid()).encode(), 0)
    except OSError as error:
        os.close(held)
        raise unwritable(file.parent, setting, error) from error
    return held
