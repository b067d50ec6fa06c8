"""Places of stores and sources: a directory, or an address whose scheme says what is there."""

from urllib.parse import parse_qs, urlsplit, urlunsplit

DIRECTORY = "directory"
"""The scheme of a place that is a path."""


def scheme_of(place: str) -> str:
    """Return the scheme of a place: "redis" of `redis://host:port/0`, `DIRECTORY` of a path."""
    scheme, mark, _ = place.partition("://")
    return scheme if mark else DIRECTORY


def cut_prefix(address: str, default: str) -> tuple[str, str]:
    """Return an address without its `?prefix=`, and that prefix of its keys, or the default one."""
    parts = urlsplit(address)
    prefix = parse_qs(parts.query).get("prefix", [default])[0]
    return urlunsplit(parts._replace(query="")), prefix
