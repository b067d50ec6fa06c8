"""Workspace of a project: the directories of its stages, and the hashes of declarations and data."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unified_ranker.config import Config, MovieLensSource, TablesSource
from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError, nearest


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
        """The directory of outputs that can be made again."""
        return self.project / self.config.project.work_dir.expanduser()

    @property
    def releases(self) -> Path:
        """The directory of releases."""
        return self.project / self.config.project.releases_dir.expanduser()

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
            from unified_ranker.log.movielens_files import fetch_movielens

            declared = {"path": self.resolve(source.path) if source.path else fetch_movielens()}
        else:
            declared = self.table_files(source)
        for name, path in declared.items():
            if not path.exists():
                beside = [p.name for p in path.parent.iterdir()] if path.parent.is_dir() else []
                raise UserError(
                    f"`{path}` does not exist. Received it from `project.yaml`, `data.{name}`. "
                    f"Correct the path, or give one with --set project.data.{name}=PATH.{nearest(path.name, beside)}"
                )
        return [
            file
            for path in declared.values()
            for file in (sorted(path.rglob("*")) if path.is_dir() else [path])
            if file.is_file()
        ]

    def data_checksum(self) -> str:
        """Return the SHA-256 over names and contents of the data files, and of the seed where it derives tasks.

        Raises:
            UserError: when a file is missing or cannot be read.
        """
        digest = hashlib.sha256()
        if self.config.project.data.derives_tasks:
            digest.update(str(self.config.project.seed).encode())
        for file in self.data_files():
            digest.update(file.name.encode())
            try:
                digest.update(bytes.fromhex(sha256(file)))
            except OSError as error:
                raise UserError(f"`{file}` cannot be read: {error.strerror}. Check its permissions.") from error
        return digest.hexdigest()

    def read_tables(self) -> Tables:
        """Read the declared tables as they are, before any check."""
        source = self.config.project.data
        if isinstance(source, MovieLensSource):
            from unified_ranker.log.movielens import load_movielens

            log = load_movielens(self.resolve(source.path) if source.path else None, self.config.project.seed)
            return Tables(*(pa.Table.from_pandas(t, preserve_index=False) for t in (log.events, log.items, log.users)))
        from unified_ranker.reading.typed_table import read_table

        read = {name: read_table(path) for name, path in self.table_files(source).items()}
        return Tables(read["events"], read["items"], read.get("users"))

    def table_files(self, source: TablesSource) -> dict[str, Path]:
        """Return the files of the declared tables by name, without those of queries."""
        return {name: self.resolve(table.files) for name, table in source.tables.items() if table.files is not None}

    def resolve(self, path: Path) -> Path:
        """Return a declared path, which may be relative to the project."""
        return self.project / path.expanduser()
