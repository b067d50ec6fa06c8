"""LMDB environment of a version, which all readers of a process share.

A process must not open an LMDB environment twice, nor use one that was opened before a fork. Environments are
therefore kept by process id and path, with a count of their uses. An open environment outlives its file: it is shared
only while its path leads to the same file.
"""

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lmdb

from unified_ranker.store.records import ENTRY_KINDS

DATA_FILE = "data.mdb"
_MAP_BYTES = 256 * 2**30
"""Address space, not disk: the file grows with what is in it."""
_READERS = 1024
_CHANGES, _META = b"changes", b"meta"


@dataclass
class Opened:
    """Open environment and its tables: one for each kind, `changes` by their number, and `meta`.

    Attributes:
        key: process id and path, under which it is kept.
        file: device and inode of its data.
    """

    key: tuple[int, str]
    file: tuple[int, int]
    env: Any
    kinds: dict[str, Any]
    changes: Any
    meta: Any
    users: int = 1


_opened: dict[tuple[int, str], Opened] = {}
_guard = threading.Lock()


def acquire(directory: Path, durable: bool = True) -> Opened:
    """Open the environment in `directory`, or share the open one; every call needs a `release`.

    Args:
        directory: of one version.
        durable: whether each commit waits for the disk; a draft waits once, at its end.

    Raises:
        lmdb.Error: it cannot be opened.
    """
    key = (os.getpid(), str(directory))
    with _guard:
        shared = _opened.get(key)
        # Another file means that the store was deleted and another one written: the open one has the old entries.
        if shared is not None and shared.file == _file_of(directory):
            shared.users += 1
            return shared
        writable = os.access(directory, os.W_OK)
        env = lmdb.open(
            str(directory),
            map_size=_MAP_BYTES,
            max_dbs=len(ENTRY_KINDS) + 2,
            max_readers=_READERS,
            readahead=False,
            readonly=not writable,
            lock=writable,
            sync=durable,
        )
        names = (*(k.encode() for k in ENTRY_KINDS), _CHANGES, _META)
        try:
            tables = [env.open_db(name, create=writable) for name in names]
        except lmdb.Error:
            env.close()
            raise
        kinds = dict(zip(ENTRY_KINDS, tables, strict=False))
        _opened[key] = Opened(key, _file_of(directory), env, kinds, changes=tables[-2], meta=tables[-1])
        return _opened[key]


def release(opened: Opened) -> None:
    """End one use of an environment; the last one closes it. In a forked process it is the parent's, and stays open."""
    with _guard:
        if opened.key[0] != os.getpid():
            return
        opened.users -= 1
        if opened.users == 0:
            opened.env.close()
            if _opened.get(opened.key) is opened:
                del _opened[opened.key]


def _file_of(directory: Path) -> tuple[int, int]:
    """Return device and inode of the data in `directory`; zeros where there are none yet."""
    try:
        status = (directory / DATA_FILE).stat()
    except FileNotFoundError:
        return 0, 0
    return status.st_dev, status.st_ino
