"""Rows of JSON and of JSON lines, by DuckDB: every value as text, lists and objects as JSON."""

import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.reading.duck import connected, quoted, says, sql_text
from unified_ranker.reading.raw_rows import RawRows, Rejected
from unified_ranker.reading.source_files import SourceFile
from unified_ranker.reading.text_encoding import decoder_of, encoding_of

_BATCH_ROWS = 200_000
LARGEST_OBJECT = 1 << 26
"""Most bytes of one JSON object."""
OBJECT = "is a JSON object"
_READ_AT_ONCE = 1 << 22
_PLAIN = (None, "gzip", "zstd")
"""Compressions that DuckDB reads."""


@dataclass(frozen=True)
class JsonRows:
    """JSON lines, or one JSON list of objects."""

    file: SourceFile
    source: TableSource

    @property
    def form(self) -> str:
        """The form in words."""
        kind = "JSON lines" if self._lines else "a JSON list"
        return kind if self._encoding == "utf-8" else f"{kind}, encoded in {self._encoding}"

    @cached_property
    def columns(self) -> tuple[str, ...]:
        """Keys of all objects, in order of their first occurrence."""
        import duckdb

        # Keys, files and names are quoted.
        query = (
            f"SELECT key FROM (SELECT unnest(json_keys(json)) AS key, number FROM ({self._numbered}) "  # noqa: S608
            "WHERE json_type(json) = 'OBJECT') GROUP BY key ORDER BY min(number), key"
        )
        with connected() as connection:
            try:
                return tuple(connection.sql(query).to_arrow_table()["key"].to_pylist())
            except duckdb.Error as error:
                raise self._unreadable(error) from error

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield the rows."""
        import duckdb

        wanted = [name for name in self.columns if name in columns]
        pointers = ["/" + name.replace("~", "~0").replace("/", "~1") for name in wanted]
        listed = ", ".join(sql_text(pointer) for pointer in pointers)
        taken = f"json_extract_string(json, [{listed}])" if wanted else "[]"
        fields = "".join(f", v[{at}] AS {quoted(name)}" for at, name in enumerate(wanted, start=1))
        query = (
            f'SELECT number AS "/number", good AS "/good", said AS "/said"{fields} FROM (SELECT number, good, '  # noqa: S608
            f"CASE WHEN NOT good THEN json::VARCHAR END AS said, CASE WHEN good THEN {taken} END AS v FROM "
            f"(SELECT json, number, coalesce(json_type(json) = 'OBJECT', false) AS good FROM ({self._numbered})))"
        )
        path = str(self.file.path)
        with connected() as connection:
            try:
                for batch in connection.sql(query).to_arrow_reader(_BATCH_ROWS):
                    yield _rows(path, pa.Table.from_batches([batch]), wanted)
            except duckdb.Error as error:
                raise self._unreadable(error) from error

    @cached_property
    def _lines(self) -> bool:
        begin = decoder_of(self._encoding).decode(self.file.begin(1 << 12))
        return not begin.lstrip("\ufeff \t\r\n").startswith("[")

    @cached_property
    def _encoding(self) -> str:
        return self.source.encoding or encoding_of(self.file)

    @cached_property
    def _rewritten(self) -> Any:
        """Temporary file of the same text as DuckDB reads it, in UTF-8; None where the file is such text."""
        if self.file.compression in _PLAIN and self._encoding == "utf-8":
            return None
        # Kept open, because it is deleted when it is closed.
        target = tempfile.NamedTemporaryFile(suffix=".json")  # noqa: SIM115
        decoder = decoder_of(self._encoding)
        try:
            with self.file.open() as stream:
                while block := stream.read(_READ_AT_ONCE):
                    target.write(decoder.decode(block).encode(errors="surrogateescape"))
        except (OSError, UnicodeError) as error:
            raise self._unreadable(error) from error
        target.flush()
        return target

    @property
    def _numbered(self) -> str:
        """Query of the objects with their numbers; null in the place of what is no JSON."""
        path, compression = str(self.file.path), self.file.compression or "none"
        if self._rewritten is not None:
            path, compression = self._rewritten.name, "none"
        options = f"compression='{compression}', maximum_object_size={LARGEST_OBJECT}"
        reader = f"read_ndjson_objects({sql_text(path)}, ignore_errors=true, {options})"
        if not self._lines:
            reader = f"read_json_objects({sql_text(path)}, format='array', {options})"
        return f"SELECT json, row_number() OVER () - 1 AS number FROM {reader}"  # noqa: S608

    def _unreadable(self, error: Exception) -> UserError:
        return UserError(f"`{self.file.path}` cannot be read as JSON: {says(error)}. Write it again.")


def _rows(path: str, table: pa.Table, wanted: Sequence[str]) -> RawRows:
    numbers = table["/number"].to_numpy().astype(np.int64)
    good = table["/good"].to_numpy().astype(bool)
    said = table["/said"]
    rejected = [Rejected(int(numbers[row]), OBJECT, said[int(row)].as_py() or "") for row in np.flatnonzero(~good)]
    return RawRows(path, table.select(wanted).filter(pa.array(good)), numbers[good], tuple(rejected))
