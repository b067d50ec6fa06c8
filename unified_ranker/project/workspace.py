"""Workspace of a project: the directories of its stages, and the hashes of declarations and data."""

import hashlib
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import pyarrow as pa

from unified_ranker.config import Config, MovieLensSource, TablesSource
from unified_ranker.core.digests import sha256, short_digest
from unified_ranker.core.errors import UserError
from unified_ranker.project.log_files import (
    READING_FORMAT,
    LogTables,
    Tables,
    files_below,
    files_on_disk,
    lies_as_read,
    loaded,
    read_into,
    tables_of,
    with_answers,
)
from unified_ranker.project.stage_cache import fill, fresh

READING, ANSWERS = "reading", "answers"
"""Directories in the work directory: of tables that were read, and of the answers of databases."""


@dataclass(frozen=True)
class Workspace:
    """A project directory with its declarations.

    Attributes:
        project: the directory.
        config: the declarations.
        ask: whether databases are asked although their answers are kept: by `validate`, `prepare` and `build`, which
            take the data as they are now. What comes after them reads the data that they have taken.
    """

    project: Path
    config: Config
    ask: bool = False

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
        if not isinstance(source, MovieLensSource):
            return files_on_disk(self.local_data, self.project)
        from unified_ranker.log.movielens_files import fetch_movielens

        path = self.resolve(source.path) if source.path else fetch_movielens()
        if not path.exists():
            raise UserError(
                f"`{path}` does not exist. Received it from `project.yaml`, `data.path`. Correct the path, or give one "
                "with --set project.data.path=PATH."
            )
        return files_below(path)

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
        return loaded(self.log_tables)

    @cached_property
    def local_data(self) -> TablesSource:
        """The declared tables, with files in the place of databases, which are asked once if at all."""
        source = self.config.project.data
        assert isinstance(source, TablesSource)  # noqa: S101  # MovieLens has a reader of its own
        return with_answers(source, self.project, self.work / ANSWERS, self.ask)

    @cached_property
    def log_tables(self) -> LogTables:
        """The files of the declared tables in the form of the log; what is not is read now, if it is not up to date.

        Raises:
            UserError: a table cannot be read.
        """
        data = self.local_data
        files_on_disk(data, self.project)
        if lies_as_read(data, self.project):
            return tables_of(data, self.project, None)
        directory, declared = self.stage(READING), self.config.digest("project.data")
        key = short_digest(READING_FORMAT, declared, self.data_checksum())
        if not fresh(directory, key):
            with fill(directory, key) as (draft, _):
                read_into(data, self.project, draft)
        return tables_of(data, self.project, directory)

    def resolve(self, path: Path) -> Path:
        """Return a declared path, which may be relative to the project."""
        return self.project / path.expanduser()
