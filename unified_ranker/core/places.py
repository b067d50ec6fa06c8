"""Places of stores and sources: a directory, or an address whose scheme says what is there."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, urlsplit, urlunsplit

from unified_ranker.core.errors import UserError

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


def require_no_eviction(place: str, memory: Mapping[str, Any]) -> None:
    """Check that a Redis keeps what it has when it is full.

    The policies `volatile-…` evict keys that expire, of which there are none.

    Args:
        place: its address, for the error.
        memory: section `memory` of its `INFO`.

    Raises:
        UserError: it evicts any key.
    """
    most, policy = memory["maxmemory"], memory["maxmemory_policy"]
    if most and policy.startswith("allkeys"):
        raise UserError(
            f"Redis at `{place}` must not evict what the store keeps. Received: `maxmemory-policy` {policy} with "
            f"`maxmemory` {most:,}. Set `maxmemory-policy noeviction`."
        )
