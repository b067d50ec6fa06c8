"""Form of delimited text: delimiter, quotation mark, header and encoding, recognised from its first lines."""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.log.schema import LOG_COLUMNS
from unified_ranker.reading.source_files import SourceFile
from unified_ranker.reading.text_encoding import encoding_of

SAMPLE_BYTES = 1 << 18
SAMPLE_LINES = 400
DELIMITERS = ("::", "\t", "\x01", ";", "|", ",")
"""Delimiters that are recognised, in the order in which they are tried."""
MOSTLY = 0.95
"""Share of the first lines that must have as many fields as the first."""
LEAST_AGAIN = 2
"""Times that a cell of the first line stands in its column again from which it is a value and no name."""
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", "\x01": "control-A", "::": "double colons"}
_NAME = re.compile(r"[^\W\d][\w .#/()%:+-]{0,63}|#[\w .-]{1,63}")


@dataclass(frozen=True)
class TextForm:
    """Form of a delimited text.

    Attributes:
        delimiter: between fields.
        quote: around fields; empty: there is none.
        names: of the columns.
        header: whether the first line holds the names.
        encoding: of the text.
        empty: whether there is no row.
    """

    delimiter: str
    quote: str
    names: tuple[str, ...]
    header: bool
    encoding: str
    empty: bool

    def __str__(self) -> str:
        """Return the form in words."""
        between = _NAMES.get(self.delimiter, f"`{self.delimiter}`")
        parts = [f"text with {between} between the columns", "a header" if self.header else "no header"]
        parts += [] if self.quote else ["no quotation marks"]
        parts += [] if self.encoding == "utf-8" else [f"encoded in {self.encoding}"]
        return ", ".join(parts)


def form_of(file: SourceFile, source: TableSource) -> TextForm:
    """Recognise the form of a file, where its declaration does not say it.

    Raises:
        UserError: an encoding is unknown, or a name occurs twice in the header.
    """
    sample = file.begin(SAMPLE_BYTES + 1)
    sample, whole = sample[:SAMPLE_BYTES], len(sample) <= SAMPLE_BYTES
    encoding = source.encoding or encoding_of(file)
    text = _decoded(file, sample, encoding).removeprefix("\ufeff")
    lines = text.splitlines(keepends=True)
    lines = [line for line in (lines if whole or len(lines) == 1 else lines[:-1]) if line.strip()][:SAMPLE_LINES]
    delimiter, quote = _delimiter(lines, source)
    rows = _fields(lines, delimiter, quote)
    header = source.header
    if header is None:
        header = _is_header(rows)
    names = tuple(_name(cell) for cell in rows[0]) if header is True else _given(header, rows)
    twice = sorted(name for name, count in Counter(names).items() if count > 1)
    if twice:
        raise UserError(
            f"the first line of `{file.path}` must name every column once. Received: `{twice[0]}` "
            f"{names.count(twice[0])} times. Correct it, or declare `header` with names of your own."
        )
    return TextForm(
        delimiter, quote, names, header is True, encoding, empty=header is True and len(rows) == 1 and whole
    )


def _decoded(file: SourceFile, sample: bytes, encoding: str) -> str:
    try:
        return codecs.getincrementaldecoder(encoding)("replace").decode(sample)
    except LookupError as error:
        raise UserError(
            f"`encoding` must be one that Python knows, such as `latin-1`. Received: `{encoding}` for `{file.path}`. "
            "Correct it in project.yaml."
        ) from error


def _delimiter(lines: Sequence[str], source: TableSource) -> tuple[str, str]:
    """Return delimiter and quotation mark: the first with which the lines have equally many fields, two or more."""
    delimiters = DELIMITERS if source.delimiter is None else (source.delimiter,)
    quotes = ('"', "") if source.quote is None else (source.quote,)
    tried = [(regular(_fields(lines, d, q)), d, q) for q in quotes for d in delimiters]
    columns = {(d, q): n for (n, share), d, q in tried if n > 1 and share >= MOSTLY}
    for quote in quotes:
        fitting = [d for d in delimiters if (d, quote) in columns]
        if fitting:
            # A comma and a bar may both be in every line of a short file: the one that makes more columns separates.
            if fitting[0] == "|" and columns.get((",", quote), 0) > columns["|", quote]:
                return ",", quote
            return fitting[0], quote
    (_, _), delimiter, quote = max(tried, key=lambda one: (one[0][0] > 1, one[0][1]))
    several = any(n > 1 for (n, _), _, _ in tried)
    return (delimiter, quote) if several or source.delimiter is not None else (",", quotes[0])


def regular(rows: Sequence[Sequence[str]]) -> tuple[int, float]:
    """Return the number of fields in the first row, and the share of the rows that have as many."""
    width = len(rows[0]) if rows else 0
    return width, sum(len(row) == width for row in rows) / max(len(rows), 1)


def _fields(lines: Sequence[str], delimiter: str, quote: str) -> list[list[str]]:
    """Return the fields of lines; a quoted one may hold line breaks."""
    if not quote:
        return [line.rstrip("\r\n").split(delimiter) for line in lines]
    # Python reads delimiters of one sign; this one does not occur in text.
    one = delimiter if len(delimiter) == 1 else "\x1f"
    joined = io.StringIO("".join(line.replace(delimiter, one) for line in lines), newline="")
    rows: list[list[str]] = []
    try:
        rows.extend(row for row in csv.reader(joined, delimiter=one, quotechar=quote, strict=True) if row)
    except csv.Error:
        # Quotation marks that are no quotes: these lines count as irregular, so that reading without them is tried.
        rows += [[]] * max(len(lines) - len(rows), 1)
    return rows


def _is_header(rows: Sequence[Sequence[str]]) -> bool:
    """Tell whether the first row holds names: words, but for the blank name that pandas gives its row numbers.

    A word that stands in its column again is a value, unless the whole row does, as where files were joined.
    """
    first = [_name(cell) for cell in rows[0]]
    if set(first) & {name for table in LOG_COLUMNS.values() for name in table}:
        return True
    others = [row for row in rows[1:] if row != rows[0]]
    again = max(sum(row[at : at + 1] == [cell] for row in others) for at, cell in enumerate(rows[0]))
    names = first[1:] if first[0] == "" and len(first) > 1 else first
    return again < LEAST_AGAIN and all(_NAME.fullmatch(cell) for cell in names)


def _name(cell: str) -> str:
    """Return a name without blanks around it, and without quotation marks that stand behind a blank."""
    name = cell.strip()
    return name[1:-1].strip() if len(name) > 2 and name[0] == name[-1] == '"' else name


def _given(header: bool | tuple[str, ...], rows: Sequence[Sequence[str]]) -> tuple[str, ...]:
    if isinstance(header, tuple):
        return header
    return tuple(f"column{number}" for number in range(len(rows[0])))
