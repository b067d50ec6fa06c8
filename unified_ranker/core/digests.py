"""Digests of files, and short digests of text that serve as cache keys."""

import hashlib
from pathlib import Path

_SHORT = 16


def sha256(file: Path) -> str:
    """Return the SHA-256 of a file, as hex digits."""
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def short_digest(*parts: str) -> str:
    """Return the first 16 hex digits of the SHA-256 of texts, one a line."""
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:_SHORT]
