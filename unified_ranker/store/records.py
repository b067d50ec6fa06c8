"""Record of an entry as bytes: its time, the release that made it, and its vector."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from unified_ranker.core.arrays import Floats, Ints, Mask
from unified_ranker.core.errors import UserError
from unified_ranker.core.ids import NO_ID, is_storable

ENTRY_KINDS = ("item", "user", "query")
COLD = 1
"""Flag of an entry without history, such as a new user, whose vector comes from its own fields alone."""


def record_type(width: int) -> np.dtype:
    """Return the layout of a record with a vector of `width`; 16 bytes precede the vector."""
    return np.dtype([("time", "<i8"), ("release", "<u4"), ("flags", "<u4"), ("vector", "<f4", (width,))])


@dataclass(frozen=True, eq=False)
class Entry:
    """One vector and its attributes.

    Attributes:
        kind: one of `ENTRY_KINDS`.
        id: of the user, the item or the query.
        vector: float32 `[width]`, read-only.
        time: seconds since 1970, as of which the vector is.
        release: number of the release whose towers made it.
        version: of the store that holds it.
        cold: whether the entry has no history.
    """

    kind: str
    id: str
    vector: Floats
    time: int
    release: int
    version: int
    cold: bool

    @property
    def width(self) -> int:
        """Length of the vector."""
        return len(self.vector)


@dataclass(frozen=True, eq=False)
class EntryBatch:
    """Entries of one kind and version, in the order of the requested ids.

    Attributes:
        ids: `[n]`.
        vectors: float32 `[n, width]`; NaN in rows that were not found.
        found: bool `[n]`.
        time: seconds, `[n]`; 0 where not found.
        release: `[n]`; 0 where not found.
        cold: bool `[n]`.
        version: of the store.
    """

    ids: tuple[str, ...]
    vectors: Floats
    found: Mask
    time: Ints
    release: Ints
    cold: Mask
    version: int

    def __len__(self) -> int:
        """Return the number of requested ids."""
        return len(self.ids)


def pack(vectors: Floats, time: Ints, release: int, cold: Mask) -> list[bytes]:
    """Return a record for each row of `vectors` `[n, width]`."""
    out = np.empty(len(vectors), record_type(vectors.shape[1]))
    out["time"], out["release"], out["flags"], out["vector"] = time, release, cold * COLD, vectors
    size, whole = out.dtype.itemsize, out.tobytes()
    return [whole[at : at + size] for at in range(0, len(whole), size)]


def unpack(records: Sequence[bytes], width: int) -> np.ndarray:
    """Return records as one structured array `[n]` (see `record_type`).

    Raises:
        UserError: they have another width.
    """
    whole, layout = b"".join(records), record_type(width)
    if len(whole) != len(records) * layout.itemsize:
        sizes = sorted({len(record) for record in records})
        raise UserError(
            f"entries of the store must have {layout.itemsize} bytes, for vectors of width {width}. Received: {sizes}. "
            "The version is damaged: `unified-ranker store verify` shows where. Publish or roll back to another."
        )
    return np.frombuffer(whole, layout)


def to_batch(ids: Sequence[str], records: Sequence[bytes | None], width: int, version: int) -> EntryBatch:
    """Return records (None = not found) in the order of `ids`."""
    there = [record for record in records if record is not None]
    rows = unpack(there, width)
    if len(there) == len(ids):
        found, every = np.ones(len(ids), bool), rows
    else:
        found = np.array([record is not None for record in records], bool)
        every = np.zeros(len(ids), rows.dtype)
        every["vector"] = np.nan
        every[found] = rows
    return EntryBatch(
        ids=tuple(ids),
        vectors=np.ascontiguousarray(every["vector"]),
        found=found,
        time=every["time"].astype(np.int64),
        release=every["release"].astype(np.int64),
        cold=(every["flags"] & COLD) != 0,
        version=version,
    )


def require_ids(ids: Sequence[str]) -> None:
    """Check that a store can hold ids.

    Raises:
        UserError: one is empty or too long.
    """
    for name in ids:
        if not is_storable(name):
            raise UserError(
                f"{NO_ID}. Received: {name[:40]!r} of "
                f"{len(name.encode())} bytes. Leave such users or items out, or give them shorter ids."
            )
