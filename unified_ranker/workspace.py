"""Where a project keeps what its stages make, and what tells them apart: hashes of declarations and data."""

import contextlib
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa

from unified_ranker.config import Config, MovieLensSource, TablesSource
from unified_ranker.errors import UserError

STAMP = "stamp.json"


@dataclass(frozen=True)
class Tables:
    """The three tables as they were read; `users` is None where the project declares none."""

    events: pa.Table
    items: pa.Table
    users: pa.Table | None


@dataclass(frozen=True)
class Workspace:
    """A project directory with its declarations."""

    project: Path
    config: Config

    @property
    def work(self) -> Path:
        """The directory of everything that can be made again."""
        return self.project / self.config.project.work_dir

    @property
    def releases(self) -> Path:
        """The directory of releases."""
        return self.project / self.config.project.releases_dir

    def stage(self, name: str) -> Path:
        """The directory that a stage fills."""
        return self.work / name

    def data_files(self) -> list[Path]:
        """Return the files that the log is read from, fetching MovieLens where it is declared and absent.

        Raises:
            UserError: when a declared path does not exist.
        """
        source = self.config.project.data
        if isinstance(source, MovieLensSource):
            from unified_ranker.data.movielens_files import fetch_movielens

            root = self._resolve(source.path) if source.path else fetch_movielens()
            paths = [root]
        else:
            paths = [self._resolve(p) for p in (source.events, source.items, source.users) if p is not None]
        files = [f for p in paths for f in (sorted(p.rglob("*")) if p.is_dir() else [p]) if not f.is_dir()]
        for path in paths:
            if not path.exists():
                raise UserError(
                    f"`{path}` does not exist. Received it from `project.yaml`, `data`. "
                    "Correct the path, or give one with --set project.data.….=PATH."
                )
        return files

    def data_checksum(self) -> str:
        """Return the SHA-256 over names and contents of the data files, and the seed that derives tasks."""
        digest = hashlib.sha256(str(self.config.project.seed).encode())
        for file in self.data_files():
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
        return digest.hexdigest()

    def read_tables(self) -> Tables:
        """Read the declared tables as they are, before any check."""
        source = self.config.project.data
        if isinstance(source, MovieLensSource):
            from unified_ranker.data.movielens import load_movielens

            log = load_movielens(self._resolve(source.path) if source.path else None, self.config.project.seed)
            return Tables(*(pa.Table.from_pandas(t, preserve_index=False) for t in (log.events, log.items, log.users)))
        assert isinstance(source, TablesSource)
        from unified_ranker.data.tables import read_table

        paths = (source.events, source.items, source.users)
        return Tables(*(None if p is None else read_table(self._resolve(p)) for p in paths))

    def _resolve(self, path: Path) -> Path:
        return self.project / path.expanduser()


def fresh(directory: Path, key: str) -> bool:
    """Tell whether `directory` holds the finished output of a stage for `key`."""
    stamp = directory / STAMP
    if not stamp.is_file():
        return False
    return bool(json.loads(stamp.read_text(encoding="utf-8")).get("key") == key)


def stamp_of(directory: Path) -> dict[str, Any]:
    """Return what a stage wrote down when it finished."""
    return json.loads((directory / STAMP).read_text(encoding="utf-8"))


@contextlib.contextmanager
def fill(directory: Path, key: str) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Offer a draft of `directory` and a dict for its stamp; on success the draft takes its place, whole.

    Anything that goes wrong leaves the old contents untouched.
    """
    directory.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{directory.name}-", dir=directory.parent))
    try:
        notes: dict[str, Any] = {}
        yield draft, notes
        (draft / STAMP).write_text(json.dumps({"key": key, **notes}, indent=2), encoding="utf-8")
        if directory.exists():
            old = Path(tempfile.mkdtemp(prefix=f".{directory.name}-old-", dir=directory.parent))
            directory.rename(old / directory.name)
            draft.rename(directory)
            shutil.rmtree(old)
        else:
            draft.rename(directory)
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise
