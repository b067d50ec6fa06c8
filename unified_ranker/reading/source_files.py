"""Files of a table: the paths that a declaration names, and the format, compression and folder columns of each."""

import re
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa

from unified_ranker.config import TableSource
from unified_ranker.core.errors import UserError
from unified_ranker.log.parquet_files import is_parquet, sentence
from unified_ranker.log.table_files import what_is_there

_COMPRESSIONS = {b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd", b"BZh": "bz2"}
COMPRESSED_SUFFIXES = (".gz", ".gzip", ".zst", ".zstd", ".bz2")
_JSON = (".json", ".jsonl", ".ndjson")
_TEXT = (".csv", ".tsv", ".psv", ".dat")
DATA_SUFFIXES = (".parquet", ".pq", *_JSON, *_TEXT)
"""Suffixes of the files that are part of a table in a directory, besides those of compression."""
_NO_TEXT = {
    b"PK": "a zip archive or a spreadsheet", b"\xd0\xcf\x11\xe0": "a spreadsheet", b"ORC": "ORC", b"Obj\x01": "Avro",
}  # fmt: skip
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_FOLDER_COLUMN = re.compile(r"([A-Za-z_]\w*)=(.*)")
_NULL_FOLDER = "__HIVE_DEFAULT_PARTITION__"


@dataclass(frozen=True)
class SourceFile:
    """File of a table.

    Attributes:
        path: of the file.
        format: `parquet`, `csv` or `json`.
        compression: of text and JSON: `gzip`, `zstd`, `bz2` or None.
        folders: columns that the names of its folders say, such as `year=2024`.
    """

    path: Path
    format: str
    compression: str | None = None
    folders: dict[str, str | None] = field(default_factory=dict)

    def open(self) -> pa.NativeFile:
        """Open the file for reading, decompressed."""
        try:
            return pa.input_stream(str(self.path), compression=self.compression)
        except OSError as error:
            raise UserError(f"`{self.path}` cannot be read: {error}. Check its permissions.") from error

    def begin(self, size: int) -> bytes:
        """Return the first bytes, decompressed.

        Raises:
            UserError: the file ends before it should, or cannot be decompressed.
        """
        try:
            with self.open() as stream:
                out: bytes = stream.read(size)
        except OSError as error:
            raise UserError(f"`{self.path}` cannot be read: {sentence(error)} Write or fetch it again.") from error
        return out


def files_of(source: TableSource, directory: Path) -> list[SourceFile]:
    """Return the files that a source names, in order of their paths.

    Args:
        source: a source with `files`.
        directory: the project's, to which the path is relative.

    Raises:
        UserError: there is none, or one of them is of no format that can be read.
    """
    if source.files is None:
        return []
    declared = source.files.expanduser()
    path = directory / declared
    if path.is_dir():
        found = [file for file in _below(path) if source.format is not None or _is_data(file)]
        if not found:
            raise UserError(
                f"the directory `{path}` has no file of a table in it: none ends in {', '.join(DATA_SUFFIXES)}. "
                f"{what_is_there(path / '*.parquet')}"
            )
        return [_described(file, path, source) for file in found]
    if path.exists():
        return [_described(path, path.parent, source)]
    found = matching(directory, declared)
    if not found:
        raise UserError(f"`{path}` does not exist. {what_is_there(path)}")
    root = Path(str(path).split("*")[0].split("?")[0].split("[")[0])
    return [_described(file, root if root.is_dir() else root.parent, source) for file in found]


def wide_encoding(begin: bytes) -> str | None:
    """Return the encoding of text in UTF-16 without a mark, by its first bytes: every other one is 0; else None."""
    halves = {"utf-16-be": (begin[::2], begin[1::2]), "utf-16-le": (begin[1::2], begin[::2])}
    for encoding, (high, low) in halves.items():
        if high.count(0) > len(high) / 2 and len(re.findall(rb"[\x00-\x08]", low)) <= len(low) / 10:
            return encoding
    return None


def _below(path: Path) -> list[Path]:
    """Return the files below a directory, without those that begin with a full stop or an underscore."""
    return sorted(
        file
        for file in path.rglob("*")
        if file.is_file() and not any(part[0] in "._" for part in file.relative_to(path).parts)
    )


def is_pattern(path: Path) -> bool:
    """Tell whether a path may stand for several files."""
    return any(sign in str(path) for sign in "*?[")


def matching(directory: Path, pattern: Path) -> list[Path]:
    """Return the files that a pattern finds, in order; relative ones from a directory. None for what is no pattern."""
    root = Path(pattern.anchor) if pattern.is_absolute() else directory
    found = root.glob(str(pattern.relative_to(pattern.anchor))) if is_pattern(pattern) else ()
    return sorted(file for file in found if file.is_file())


def _is_data(file: Path) -> bool:
    return Path(_bare_name(file)).suffix in DATA_SUFFIXES


def _bare_name(file: Path) -> str:
    """Return a file's name in lower case, without the suffix of a compression."""
    name = file.name.lower()
    return next((name.removesuffix(end) for end in COMPRESSED_SUFFIXES if name.endswith(end)), name)


def _described(file: Path, root: Path, source: TableSource) -> SourceFile:
    folders = {}
    for part in file.parent.relative_to(root).parts:
        column = _FOLDER_COLUMN.fullmatch(part)
        if column is not None:
            folders[column[1]] = None if column[2] == _NULL_FOLDER else unquote(column[2])
    if is_parquet(file):
        return SourceFile(file, "parquet", None, folders)
    with file.open("rb") as stream:
        begin = stream.read(4)
    compression = next((name for magic, name in _COMPRESSIONS.items() if begin.startswith(magic)), None)
    described = SourceFile(file, source.format or "csv", compression, folders)
    begin = described.begin(4096)
    other = next((name for magic, name in _NO_TEXT.items() if begin.startswith(magic)), None)
    if not begin.strip():
        raise UserError(f"`{file}` must hold a table. Received: an empty file. Write it again.")
    if other is None and b"\0" in begin and not begin.startswith(_UTF_16) and wide_encoding(begin) is None:
        other = "bytes that are no text"
    if source.format == "parquet" or other is not None:
        raise UserError(
            f"`{file}` must be Parquet, CSV or other delimited text, or JSON. Received: {other or 'no Parquet'}. "
            "Write it in one of them, or correct `format`."
        )
    if wide_encoding(begin) is not None or begin.startswith(_UTF_16):
        begin = begin.replace(b"\0", b"").lstrip(b"\xff\xfe")
    if source.format is None and (Path(_bare_name(file)).suffix in _JSON or re.match(rb"\s*(\{\s*\"|\[\s*\{)", begin)):
        return SourceFile(file, "json", compression, folders)
    return described
