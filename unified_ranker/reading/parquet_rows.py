"""Rows of a Parquet file, in the types that it gives them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from unified_ranker.log.parquet_files import open_parquet, own_columns, unreadable
from unified_ranker.reading.raw_rows import RawRows
from unified_ranker.reading.source_files import SourceFile

_BATCH_ROWS = 500_000


@dataclass(frozen=True)
class ParquetRows:
    """Parquet file."""

    file: SourceFile

    @property
    def form(self) -> str:
        """The form in words."""
        return "Parquet"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns, without those of pandas' row numbers."""
        return tuple(field.name for field in own_columns(open_parquet(self.file.path).schema_arrow))

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield the rows."""
        wanted, path, done = [name for name in self.columns if name in columns], str(self.file.path), 0
        source = open_parquet(self.file.path)
        try:
            # Row groups of no rows give no batch, so that a file without rows would give no types either.
            yield RawRows(path, source.schema_arrow.empty_table().select(wanted), np.arange(0))
            for batch in source.iter_batches(_BATCH_ROWS, columns=wanted):
                table = pa.Table.from_batches([batch]).select(wanted)
                yield RawRows(path, table, np.arange(done, done + batch.num_rows))
                done += batch.num_rows
        except (pa.ArrowException, OSError) as error:
            raise unreadable(self.file.path, error) from error
