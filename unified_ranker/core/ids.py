"""Identifiers of users, items, events and surfaces: one limit, within the keys of every store."""

MOST_ID_BYTES = 480
"""Most bytes of an identifier in UTF-8: with a prefix it stays below the 511 of a key of LMDB."""


NO_ID = f"an id must have 1 to {MOST_ID_BYTES} bytes in UTF-8"
"""Rule of `is_storable`, for messages."""


def fits_in_key(name: str) -> bool:
    """Tell whether an identifier, or "" for none, is short enough to be a key of a store."""
    # A character has at most four bytes, so short ids need not be encoded.
    return len(name) * 4 <= MOST_ID_BYTES or len(name.encode("utf-8", "surrogatepass")) <= MOST_ID_BYTES


def is_storable(name: str) -> bool:
    """Tell whether an identifier can be a key of a store."""
    return bool(name) and fits_in_key(name)
