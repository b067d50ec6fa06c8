"""Contract of a backend of the store: bytes under (version, kind, id), a pointer that is switched at once, two locks.

Rules are not here: `EmbeddingStore`, `Draft` and the guards hold them for all backends.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from unified_ranker.core.registry import Registry

Document = dict[str, Any]
Records = tuple[list[str], list[bytes]]
WriterRole = Literal["writer", "refresher"]
"""Who may write: one process that makes versions, and one that brings single entries up to date."""
WRITERS: Mapping[WriterRole, str] = {"writer": "writing a version", "refresher": "refreshing entries"}
"""What the holder of a role does, for whoever is refused."""


class StoreBackend(Protocol):
    """Keeps versions. Reading is safe from many processes and threads; writing is for whoever holds a lock."""

    place: str

    def state(self) -> Document | None:
        """Return the document that says which version is published; None for a new store.

        Raises:
            UserError: it cannot be read.
        """

    def switch(self, state: Document) -> None:
        """Replace that document at once; on return it outlives the death of any process. The writer's lock is held.

        Raises:
            UserError: it cannot be written, or the lock was lost.
        """

    def lock(self, role: WriterRole) -> AbstractContextManager[None]:
        """Be the only one of a role; the lock ends with the process, however that dies.

        Raises:
            UserError: another has it. At once; nobody waits.
        """

    def versions(self) -> list[int]:
        """Return the numbers of all sealed versions, ascending."""

    def manifest(self, version: int) -> Document | None:
        """Return a sealed version's manifest; None where there is no such version."""

    def begin(self, version: int) -> None:
        """Make room for a version, without what a killed run left of it.

        Raises:
            UserError: the backend is not fit to hold one.
        """

    def put(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes]) -> list[str]:
        """Add entries to a version that is not sealed; returns ids that were there already, whose entries stay.

        Raises:
            UserError: they cannot be written.
        """

    def seal(self, version: int, manifest: Document) -> None:
        """Make sure that all entries are there, on disk as far as the backend goes, and write the manifest last.

        Raises:
            UserError: entries are missing, or it cannot be written.
        """

    def note(self, version: int, manifest: Document) -> None:
        """Replace the manifest of a sealed version, at once."""

    def drop(self, version: int) -> None:
        """Remove a version, whole or not; readers that have it pinned hear of it at their next call."""

    def clear(self) -> None:
        """Remove what killed writers left that is no version. The writer's lock is held."""

    def get(self, kind: str, ids: Sequence[str], version: int | None) -> tuple[int, list[bytes | None]]:
        """Return records by id, all of one version: the published one for None. Records are None where not found.

        Raises:
            UserError: the version is not there, no longer kept, damaged, or nothing is published.
        """

    def scan(self, version: int, kind: str, size: int) -> Iterator[Records]:
        """Yield all entries of a kind in parts of about `size`."""

    def count(self, version: int, kind: str) -> int:
        """Return how many entries of a kind a version has."""

    def update(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes], position: str) -> None:
        """Replace or add entries of a sealed version, and note how far its refresher has come, all at once.

        Raises:
            UserError: they cannot be written.
        """

    def changes(self, version: int, kind: str, since: int) -> tuple[int, list[str]]:
        """Return the ids that `update` touched after `since` (0 = all), and the position to ask from next."""

    def position(self, version: int) -> str:
        """Return how far the refresher has come; "" at the start."""

    def check(self, version: int) -> list[str]:
        """Return what is wrong with how a version is kept: parts missing, sizes that differ; [] for nothing."""

    def close(self) -> None:
        """Free what is open."""


STORE_BACKENDS: Registry[Callable[[str], StoreBackend]] = Registry("store of vectors")
"""Openers of a backend at a place, by the place's scheme; they raise `UserError` where there can be none."""
