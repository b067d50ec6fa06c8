"""Splits of bounded size of a table in many files, and their reader."""

from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.log.parquet_files import is_parquet, open_parquet, require_one_form, sentence
from unified_ranker.log.schema import LOG_COLUMNS
from unified_ranker.log.table_files import table_files
from unified_ranker.reading.typed_table import read_table

SPLIT_ROWS = 1_000_000
"""Approximate number of events that a shard reads, which bounds its memory."""


@dataclass(frozen=True)
class Piece:
    """Rows of one source: row groups of a Parquet file, a whole CSV file, or a table in memory."""

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
        if not is_parquet(file):
            splits.append([Piece(0, file)])
            continue
        footer = open_parquet(file).metadata
        for group in range(footer.num_row_groups):
            count = footer.row_group(group).num_rows
            if splits[-1] and (sum(p.rows for p in splits[-1]) + count > rows or splits[-1][-1].rows == 0):
                splits.append([])
            last = splits[-1]
            if last and last[-1].file == file:
                last[-1] = Piece(last[-1].rows + count, file, (*last[-1].row_groups, group))
            else:
                last.append(Piece(count, file, (group,)))
    return [tuple(split) for split in splits if split] or [(Piece(0, files[0]),)]


def read_split(split: TableSplit) -> list[tuple[Piece, int | None, pa.Table]]:
    """Read the contract's columns of a split: tables with the piece and the row group that they come from.

    Raises:
        UserError: a row group is damaged; the message names file and row group.
    """
    out: list[tuple[Piece, int | None, pa.Table]] = []
    for piece in split:
        if piece.table is not None:
            out.append((piece, None, piece.table))
        elif not piece.row_groups:
            assert piece.file is not None  # noqa: S101  # a piece is a table or lies in a file
            out.append((piece, None, read_table(piece.file)))
        else:
            out += [(piece, group, table) for group, table in _row_groups(piece)]
    return out


def _row_groups(piece: Piece) -> list[tuple[int, pa.Table]]:
    assert piece.file is not None  # noqa: S101  # row groups lie in files
    source = open_parquet(piece.file)
    wanted = [name for name in source.schema_arrow.names if name in LOG_COLUMNS["events"]]
    out = []
    for group in piece.row_groups:
        try:
            out.append((group, source.read_row_group(group, columns=wanted)))
        except (pa.ArrowException, OSError) as error:
            raise UserError(
                f"`{piece.file}`, row group {group} of {source.num_row_groups}, cannot be read: {sentence(error)} "
                "Write the file again."
            ) from error
    return out
