"""One process of a role at a time, by a lock on a file that ends with the process."""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.store.base import WriterRole

DOES = {"writer": "writing a version", "refresher": "refreshing entries"}


@contextlib.contextmanager
def hold(directory: Path, role: WriterRole) -> Iterator[None]:
    """Hold the role's lock in `directory`; its file stays, and keeps nobody out.

    Raises:
        UserError: another process has it, or the directory cannot be written.
    """
    file = directory / f".{role}.lock"
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    except OSError as error:
        raise _unwritable(directory, error) from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise taken(str(directory), role, f"pid {os.pread(handle, 20, 0).decode()}") from error
        try:
            os.ftruncate(handle, 0)
            os.pwrite(handle, str(os.getpid()).encode(), 0)
        except OSError as error:
            raise _unwritable(directory, error) from error
        yield
    finally:
        os.close(handle)


def _unwritable(directory: Path, error: OSError) -> UserError:
    return UserError(
        f"the store must be a directory that can be written. Received: `{directory}`: {error.strerror}. What is "
        "published is as it was. Make room or change its permissions, and run again, or name another place."
    )


def taken(place: str, role: WriterRole, who: str) -> UserError:
    """Build the error for a role that another process has."""
    return UserError(
        f"another process ({who}) is {DOES[role]} in `{place}`, and one at a time may. Wait for it, or stop it."
    )
