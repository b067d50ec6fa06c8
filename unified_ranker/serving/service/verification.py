"""Verification of a release in a process beside this one, since it reads and hashes every byte."""

import subprocess
import sys
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.release.manifest import read_manifest

_PROGRAM = """
import os, sys
os.nice(int(sys.argv[1]))
from unified_ranker.cli import main
sys.argv[1:2] = ["verify"]
main()
"""


class Verification:
    """Walk of a release's whole chain (see `verify_release`), which has begun.

    Args:
        release: its directory.
        niceness: of the process, from 0 to 19.

    Raises:
        UserError: it is no release.
    """

    def __init__(self, release: Path, niceness: int = 0) -> None:
        read_manifest(release)
        self._release = release
        self._process = subprocess.Popen(
            [sys.executable, "-c", _PROGRAM, str(niceness), str(release)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )

    def require(self) -> None:
        """Wait for the end.

        Raises:
            UserError: naming the first link that does not hold.
        """
        _, said = self._process.communicate()
        if self._process.returncode:
            reason = said.strip().splitlines()[-1:] or ["no reason given"]
            raise UserError(f"release {self._release.name} is refused: {reason[0].removeprefix('error: ')}")
