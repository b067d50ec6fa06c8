"""Encoding of text, recognised from the whole file: UTF-8, UTF-16 or one of Western Europe."""

import codecs
import re
from collections.abc import Iterator

from unified_ranker.core.errors import UserError
from unified_ranker.log.parquet_files import sentence
from unified_ranker.reading.source_files import SourceFile, wide_encoding

_BLOCK_BYTES = 1 << 22
ENOUGH_LINES = 2_000
"""Lines with bytes above ASCII that are looked at, the first ones wherever in a file they stand."""
LEAST_LINES = 3
"""Lines of bytes that are no UTF-8 from which a text may be in another encoding."""
ALONE = 1.5
"""Mean length, in bytes, up to which what is above ASCII are letters among others."""
_TYPOGRAPHY = frozenset(
    "\N{LEFT DOUBLE QUOTATION MARK}\N{RIGHT DOUBLE QUOTATION MARK}\N{LEFT SINGLE QUOTATION MARK}"
    "\N{RIGHT SINGLE QUOTATION MARK}\N{EN DASH}\N{EM DASH}\N{HORIZONTAL ELLIPSIS}\N{EURO SIGN}\N{DEGREE SIGN}"
)
_MARKS = {codecs.BOM_UTF8: "utf-8", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}


def encoding_of(file: SourceFile) -> str:
    """Recognise the encoding of a file.

    Lines of ASCII say nothing, and the others may begin anywhere, so the file is read until there are `ENOUGH_LINES` of
    these. What the encoding does not have in later lines is rejected row by row.

    Raises:
        UserError: the file ends before it should, or cannot be decompressed.
    """
    begin = file.begin(1 << 12)
    marked = next((name for mark, name in _MARKS.items() if begin.startswith(mark)), None) or wide_encoding(begin)
    if marked is not None:
        return marked
    lines: list[bytes] = []
    for block in _blocks(file):
        if not block.isascii():
            lines += [line for line in block.splitlines() if not line.isascii()][: ENOUGH_LINES - len(lines)]
            if len(lines) >= ENOUGH_LINES:
                break
    return western(lines) or "utf-8"


def western(lines: list[bytes]) -> str | None:
    """Return the encoding of Western text of lines with bytes above ASCII: most are no UTF-8; None for any other.

    A letter with an accent stands alone among letters of ASCII. Where bytes above ASCII stand in rows, as in Cyrillic
    or Chinese text, or in few lines, nothing is guessed: such lines are rejected one by one.
    """
    bad = [line for line in lines if not is_utf8(line)]
    if len(bad) < LEAST_LINES or len(bad) <= len(lines) / 2:
        return None
    runs = [run for line in bad for run in re.findall(rb"[\x80-\xff]+", line)]
    if sum(map(len, runs)) > ALONE * len(runs):
        return None
    signs = b"".join(runs)
    # Windows has quotation marks, dashes and the euro in place of control characters, which no table holds; the five
    # bytes that it lacks are odd in either encoding.
    encoding = "cp1252" if re.search(rb"[\x80-\x9f]", signs) else "latin-1"
    likely = sum(sign.isalpha() or sign in _TYPOGRAPHY for sign in signs.decode(encoding, "replace"))
    return encoding if likely > len(signs) / 2 else None


def decoder_of(encoding: str) -> codecs.IncrementalDecoder:
    """Return a decoder that keeps bytes that the encoding does not have as lone surrogates, which are no UTF-8.

    Written with the same handler of errors, `surrogateescape`, they are the bytes that they were.
    """
    return codecs.getincrementaldecoder(encoding)("strict" if encoding.startswith("utf-16") else "surrogateescape")


def is_utf8(text: bytes) -> bool:
    """Tell whether bytes are text in UTF-8."""
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _blocks(file: SourceFile) -> Iterator[bytes]:
    """Yield a file in blocks that end with a line."""
    held = b""
    try:
        with file.open() as stream:
            while read := stream.read(_BLOCK_BYTES):
                whole, end, rest = (held + read).rpartition(b"\n")
                yield whole + end
                held = rest
    except OSError as error:
        raise UserError(f"`{file.path}` cannot be read: {sentence(error)} Write or fetch it again.") from error
    yield held
