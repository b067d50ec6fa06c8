"""Splits of bounded size of a table in many files, and their reader."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.log.parquet_files import open_parquet, require_one_form, sentence
from unified_ranker.log.quarantine import EVENT_FILE, EVENT_ROW
from unified_ranker.log.schema import LOG_COLUMNS, SESSION
from unified_ranker.log.table_files import parquet_table, table_files

SPLIT_ROWS = 1_000_000
"""Approximate number of events that a shard reads, which bounds its memory."""
_ORIGIN = (EVENT_FILE, EVENT_ROW)
_COLUMNS = frozenset({*LOG_COLUMNS["events"], SESSION, *_ORIGIN})


@dataclass(frozen=True)
class Piece:
    """Rows of one source: row groups of a Parquet file, or a table in memory."""

    rows: int
    file: Path | None = None
    row_groups: tuple[int, ...] = ()
    table: pa.Table | None = None


TableSplit = tuple[Piece, ...]


def plan_splits(source: Path | pa.Table, rows: int = SPLIT_ROWS) -> list[TableSplit]:
    """Cut the events into splits of about `rows`, reading only the files' footers.

    Raises:
        UserError: a file is missing or damaged, or a column has different types in two files.
    """
    if isinstance(source, pa.Table):
        return [(Piece(len(source), table=source),)]
    files = table_files(source)
    require_one_form(files)
    splits: list[list[Piece]] = [[]]
    for file in files:
        footer = open_parquet(file).metadata
        for group in range(footer.num_row_groups):
            count = footer.row_group(group).num_rows
            if splits[-1] and (sum(p.rows for p in splits[-1]) + count > rows):
                splits.append([])
            last = splits[-1]
            if last and last[-1].file == file:
                last[-1] = Piece(last[-1].rows + count, file, (*last[-1].row_groups, group))
            else:
                last.append(Piece(count, file, (group,)))
    return [tuple(split) for split in splits if split] or [(Piece(0, files[0]),)]


@dataclass(frozen=True)
class SplitPart:
    """Rows of one row group, or of a table in memory.

    Attributes:
        table: `[rows, columns]`, the contract's columns.
        file: the file that they lie in; None: in memory.
        row_group: in the file.
        origin: file and row that each row was read from, where that is another file; None elsewhere.
    """

    table: pa.Table
    file: Path | None = None
    row_group: int | None = None
    origin: pa.Table | None = None

    def origin_of(self, row: int) -> tuple[str, int | None, int]:
        """Return file, row group and row (from 0) that a row comes from."""
        if self.origin is not None:
            return self.origin[EVENT_FILE][row].as_py(), None, self.origin[EVENT_ROW][row].as_py()
        return str(self.file or "(in memory)"), self.row_group, row


def read_split(split: TableSplit) -> list[SplitPart]:
    """Read the contract's columns of a split.

    Raises:
        UserError: a row group is damaged; the message names file and row group.
    """
    out: list[SplitPart] = []
    for piece in split:
        if piece.file is None:
            out.append(SplitPart(piece.table))
        elif not piece.row_groups:
            out.append(_split_part(parquet_table(piece.file), piece.file, None))
        else:
            out += _row_groups(piece.file, piece.row_groups)
    return out


def _row_groups(file: Path, row_groups: tuple[int, ...]) -> Iterator[SplitPart]:
    source = open_parquet(file)
    wanted = [name for name in source.schema_arrow.names if name in _COLUMNS]
    for group in row_groups:
        try:
            yield _split_part(source.read_row_group(group, columns=wanted), file, group)
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"`{file}`, row group {group} of {source.num_row_groups}, cannot be read: {sentence(error)} "
                "Write the file again."
            ) from error


def _split_part(table: pa.Table, file: Path, group: int | None) -> SplitPart:
    own = table.select([name for name in table.column_names if name not in _ORIGIN])
    origin = table.select(_ORIGIN) if set(_ORIGIN) <= set(table.column_names) else None
    return SplitPart(own, file, group, origin)
