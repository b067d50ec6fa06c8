"""LMDB environment of a version, which all readers of a process share.

A process must not open an LMDB environment twice, nor use one that was opened before a fork. Environments are
therefore kept by process id and path, with a count of their uses.
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
    """Open environment and its tables: one for each kind, `changes` by their number, and `meta`."""

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
        if shared is not None:
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
        tables = [env.open_db(name, create=writable) for name in (*(k.encode() for k in ENTRY_KINDS), _CHANGES, _META)]
        kinds = dict(zip(ENTRY_KINDS, tables, strict=False))
        _opened[key] = Opened(env, kinds, changes=tables[-2], meta=tables[-1])
        return _opened[key]


def release(directory: Path) -> None:
    """End one use of an environment; the last one closes it."""
    key = (os.getpid(), str(directory))
    with _guard:
        shared = _opened.get(key)
        if shared is None:
            return
        shared.users -= 1
        if shared.users == 0:
            shared.env.close()
            del _opened[key]
