"""Walk over all entries of an LMDB environment, in a process of its own, which a damaged page may kill."""

import signal
import subprocess
import sys
from pathlib import Path

# Without this package, so that the process needs no more than the library of LMDB.
_WALK = """
import sys
import lmdb
with lmdb.open(sys.argv[1], readonly=True, lock=False, readahead=True, max_dbs=64) as environment:
    with environment.begin() as transaction:
        for name in [key for key, _ in transaction.cursor()]:
            table = environment.open_db(name, txn=transaction, create=False)
            for _ in transaction.cursor(table):
                pass
"""


def walk_fault(directory: Path) -> str:
    """Read everything in an environment; returns what is wrong with it, "" for nothing.

    LMDB trusts its pages: a changed number in one may lead outside of the file, where the operating system ends the
    process.
    """
    done = subprocess.run([sys.executable, "-c", _WALK, str(directory)], capture_output=True, text=True, check=False)
    if done.returncode < 0:
        return f"its pages cannot be read ({signal.Signals(-done.returncode).name})"
    if done.returncode:
        return (done.stderr.strip().splitlines() or ["unknown"])[-1]
    return ""
