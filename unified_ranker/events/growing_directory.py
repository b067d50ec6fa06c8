"""Directory of Parquet tables that grows, such as that of a nightly export."""

import json
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import write_whole


class GrowingDirectory:
    """Parquet files of a directory, each read once, in order of their names.

    A file that cannot be read is taken to be incomplete, and tried again; it is an error if it has not grown since.
    Names that begin with `.` or `_` are skipped.
    """

    def __init__(self, directory: Path, seen: Path | None = None) -> None:
        """Follow `directory`; the file `seen` stores the names that were read, from one run to the next.

        Raises:
            UserError: there is no such directory.
        """
        if not directory.is_dir():
            raise UserError(
                f"`{directory}` must be a directory of Parquet tables. Received: none there. Make it first."
            )
        self.directory, self._file = directory, seen
        self._seen: set[str] = set(json.loads(seen.read_text())) if seen is not None and seen.is_file() else set()
        self._unreadable: dict[str, int] = {}

    def new(self) -> Iterator[tuple[str, pa.Table]]:
        """Yield new tables by name, each read when the iterator reaches it.

        Raises:
            UserError: a file cannot be read, and does not grow.
        """
        for file in sorted(self.directory.glob("*.parquet")):
            if file.name in self._seen or file.name.startswith((".", "_")):
                continue
            size = file.stat().st_size
            try:
                table = pq.read_table(file)
            except (pa.ArrowException, OSError) as error:
                if self._unreadable.get(file.name) == size:
                    raise UserError(
                        f"`{file}` cannot be read as Parquet, and does not grow: {error}. Write it again, or remove it."
                    ) from error
                self._unreadable[file.name] = size
                continue
            yield file.name, table

    def done(self, names: list[str]) -> None:
        """Record that tables are stored."""
        if not names:
            return
        self._seen.update(names)
        if self._file is not None:
            write_whole(self._file, json.dumps(sorted(self._seen)))
