"""Rows of delimited text, by Arrow's reader of CSV.

DuckDB reads CSV, too, but leaves lines out of the numbering that it cannot read, and replaces or refuses bytes that are
no text. Arrow says the number of each row of another width, and hands bytes over as they are.
"""

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv

from unified_ranker.config import TableSource
from unified_ranker.core.arrays import Ints, Mask
from unified_ranker.core.errors import UserError
from unified_ranker.log.column_types import as_mask
from unified_ranker.log.parquet_files import sentence
from unified_ranker.reading.raw_rows import RawRows, Rejected
from unified_ranker.reading.source_files import SourceFile
from unified_ranker.reading.text_encoding import decoder_of, is_utf8
from unified_ranker.reading.text_form import TextForm, form_of

BLOCK_BYTES = 1 << 24
"""Bytes of text that are read at once, the most that a row may have."""
SAME_WIDTH = "has as many fields as there are columns"
TEXT_BYTES = "is UTF-8 text, where no other `encoding` is declared"
OPEN_QUOTE = "holds no other rows in a field, behind a quotation mark that nothing closes"
SWALLOWED = 0.8
"""Share of the lines in a field that have as many fields as a row, from which they are rows behind an open quote."""
LEAST_SWALLOWED = 2
_ONE_SIGN = "\x1f"


@dataclass(frozen=True)
class DelimitedRows:
    """Delimited text; all columns are text exactly as written, and null where empty."""

    file: SourceFile
    source: TableSource
    block_bytes: int = BLOCK_BYTES

    @cached_property
    def text(self) -> TextForm:
        """The form that was recognised."""
        return form_of(self.file, self.source)

    @property
    def form(self) -> str:
        """The form in words."""
        return str(self.text)

    @property
    def _encoded(self) -> str:
        """The rule that a row breaks whose bytes are no text."""
        return TEXT_BYTES if self.text.encoding == "utf-8" else f"is text in {self.text.encoding}"

    @property
    def columns(self) -> tuple[str, ...]:
        """Names of the columns; the blank one that pandas gives to its row numbers is none."""
        return tuple(name for name in self.text.names if name)

    def rows(self, columns: Sequence[str]) -> Iterator[RawRows]:
        """Yield the rows."""
        form, path = self.text, str(self.file.path)
        wanted = [name for name in form.names if name in columns]
        if form.empty:
            yield RawRows(path, _table(wanted, [pa.array([], pa.large_string()) for _ in wanted]), np.arange(0))
            return
        numbering = _Numbering(int(form.header), len(form.names))
        try:
            with self.file.open() as stream:
                for batch in self._batches(stream, wanted or [form.names[0]], numbering):
                    numbers, rejected = numbering.take(batch.num_rows)
                    rejected = [part for one in rejected for part in _by_line(one)]
                    keep, bad, arrays = _as_text(batch)
                    rejected += [Rejected(int(numbers[row]), self._encoded, text) for row, text in bad]
                    table = _table(batch.schema.names, arrays).select(wanted)
                    good, swallowed = self._without_swallowed(table, numbers[keep])
                    yield RawRows(path, table.filter(pa.array(good)), numbers[keep][good], (*rejected, *swallowed))
        except (pa.ArrowException, UnicodeError, OSError) as error:
            hint = " A row that is this long has an open quotation mark: declare `quote: ''` if the text has none."
            raise UserError(
                f"`{path}` cannot be read as {self.form}: {sentence(error)}{hint if 'straddl' in str(error) else ''} "
                "Declare `delimiter`, `quote`, `header` or `encoding` of the table, or write it again."
            ) from error
        left = tuple(part for one in numbering.rest() for part in _by_line(one))
        if left:
            yield RawRows(path, _table(wanted, [pa.array([], pa.large_string()) for _ in wanted]), np.arange(0), left)

    def _without_swallowed(self, table: pa.Table, numbers: Ints) -> tuple[Mask, list[Rejected]]:
        """Mark the rows that hold no other row in a field `[rows]`, and return the lines of those that do."""
        good, rejected, width = np.ones(len(numbers), bool), [], len(self.text.names)
        for name in table.column_names if self.text.quote and width > 1 else ():
            broken = np.flatnonzero(as_mask(pc.fill_null(pc.match_substring(table[name], "\n"), False)) & good)
            for row in broken:
                first, *lines = table[name][int(row)].as_py().splitlines()
                of_rows = sum(len(line.split(self.text.delimiter)) == width for line in lines)
                if of_rows >= LEAST_SWALLOWED and of_rows >= SWALLOWED * len(lines):
                    good[row] = False
                    rejected += [Rejected(int(numbers[row]), OPEN_QUOTE, line) for line in (first, *lines)]
        return good, rejected

    def _batches(
        self, stream: pa.NativeFile, wanted: Sequence[str], numbering: "_Numbering"
    ) -> Iterator[pa.RecordBatch]:
        form = self.text
        plain = form.encoding == "utf-8" and len(form.delimiter) == 1
        return pa_csv.open_csv(
            stream if plain else _Rewritten(stream, form),
            read_options=pa_csv.ReadOptions(
                # One thread, because only then Arrow numbers the rows.
                use_threads=False,
                block_size=self.block_bytes,
                column_names=[name or _ONE_SIGN for name in form.names],
                skip_rows=int(form.header),
            ),
            parse_options=pa_csv.ParseOptions(
                delimiter=form.delimiter if len(form.delimiter) == 1 else _ONE_SIGN,
                quote_char=form.quote or False,
                newlines_in_values=bool(form.quote),
                invalid_row_handler=numbering.reject,
            ),
            convert_options=pa_csv.ConvertOptions(
                column_types=dict.fromkeys(wanted, pa.large_binary()),
                include_columns=list(wanted),
                null_values=[""],
                strings_can_be_null=True,
            ),
        )


@dataclass
class _Numbering:
    """Numbers of the rows in a file, with gaps where rows were rejected."""

    skipped: int
    width: int
    next: int = 0
    waiting: list[Rejected] = field(default_factory=list)

    def reject(self, row: pa_csv.InvalidRow) -> str:
        """Note a row of another width; Arrow numbers rows from 1 and counts the header."""
        rule = f"{SAME_WIDTH} ({self.width})"
        self.waiting.append(Rejected(row.number - 1 - self.skipped, rule, row.text))
        return "skip"

    def take(self, count: int) -> tuple[Ints, list[Rejected]]:
        """Return the numbers of the next rows, and the rejected ones among them."""
        gaps = np.array([one.row for one in self.waiting], np.int64) - self.next
        # The k-th gap comes before every row whose number without gaps is at least gap - k.
        numbers = np.arange(count) + np.searchsorted(gaps - np.arange(len(gaps)), np.arange(count), side="right")
        numbers = numbers.astype(np.int64) + self.next
        after = int(numbers[-1]) + 1 if count else self.next
        passed = [one for one in self.waiting if one.row < after]
        self.waiting = self.waiting[len(passed) :]
        self.next = after
        return numbers, passed

    def rest(self) -> tuple[Rejected, ...]:
        """Return the rejected rows after the last good one."""
        return tuple(self.waiting)


class _Rewritten(io.RawIOBase):
    """Text in UTF-8 with a delimiter of one sign, made of text in another encoding or with another delimiter.

    Bytes that the encoding does not have stay as they are: no UTF-8, so that their row alone is rejected.
    """

    def __init__(self, stream: pa.NativeFile, form: TextForm) -> None:
        self._stream, self._delimiter = stream, form.delimiter
        self._decoder = decoder_of(form.encoding)
        self._held, self._ended = "", False

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        out = b""
        while not out and not self._ended:
            raw = self._stream.read(size if size > 0 else BLOCK_BYTES)
            self._ended = not raw
            text = self._held + self._decoder.decode(raw, final=self._ended)
            self._held = ""
            if len(self._delimiter) > 1:
                # The end may be the first half of a delimiter.
                if not self._ended and text.endswith(self._delimiter[0]):
                    text, self._held = text.rstrip(self._delimiter[0]), text[len(text.rstrip(self._delimiter[0])) :]
                text = text.replace(self._delimiter, _ONE_SIGN)
            out = text.removeprefix("\ufeff").encode(errors="surrogateescape")
        return out


def _table(names: Sequence[str], arrays: Sequence[pa.Array]) -> pa.Table:
    return pa.table(dict(zip(names, arrays, strict=True)))


def _as_text(batch: pa.RecordBatch) -> tuple[Ints, list[tuple[int, str]], list[pa.Array]]:
    """Return the rows that are text, the others with what can be shown of them, and the columns of the former."""
    try:
        return np.arange(batch.num_rows), [], [column.cast(pa.large_string()) for column in batch.columns]
    except pa.ArrowInvalid:
        bad = sorted({row for column in batch.columns for row in _no_text(column)})
        keep = np.setdiff1d(np.arange(batch.num_rows), bad)
        shown = [(row, ", ".join(_shown(column[row].as_py()) for column in batch.columns)) for row in bad]
        good = batch.take(pa.array(keep))
        return keep, shown, [column.cast(pa.large_string()) for column in good.columns]


def _by_line(one: Rejected) -> list[Rejected]:
    """Return a rejected row by its lines, each of which may be a row that an open quotation mark swallowed."""
    lines = one.text.splitlines()
    return [Rejected(one.row, OPEN_QUOTE, line) for line in lines] if len(lines) > 1 else [one]


def _no_text(column: pa.Array) -> list[int]:
    try:
        column.cast(pa.large_string())
    except pa.ArrowInvalid:
        return [row for row, value in enumerate(column.to_pylist()) if value is not None and not is_utf8(value)]
    return []


def _shown(value: Any) -> str:
    return "" if value is None else value.decode(errors="backslashreplace")
