"""Contract of a backend of the store: records by (version, kind, id), an atomic pointer, and two locks.

The rules for all backends are in `EmbeddingStore`, `Draft` and the guards.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Literal, Protocol

from unified_ranker.core.registry import Registry

Document = dict[str, Any]
Records = tuple[list[str], list[bytes]]
WriterRole = Literal["writer", "refresher"]
"""Role of a writing process: one writes versions, one refreshes single entries."""
WRITERS: Mapping[WriterRole, str] = {"writer": "writing a version", "refresher": "refreshing entries"}
"""Activity of each role, for the error that a second process gets."""


class StoreBackend(Protocol):
    """Stores versions. Reading is safe from many processes and threads; writing needs a lock."""

    place: str

    def state(self) -> Document | None:
        """Return the document that names the published version; None for a new store.

        Raises:
            UserError: it cannot be read.
        """

    def switch(self, state: Document) -> None:
        """Replace that document atomically and durably. The caller holds the writer's lock.

        Raises:
            UserError: it cannot be written, or the lock was lost.
        """

    def lock(self, role: WriterRole) -> AbstractContextManager[None]:
        """Hold the lock of a role for the time of a block; it ends with the process, even if that is killed.

        Raises:
            UserError: at once, without waiting: another process has it.
        """

    def versions(self) -> list[int]:
        """Return the numbers of all sealed versions, ascending."""

    def manifest(self, version: int) -> Document | None:
        """Return a sealed version's manifest; None where there is no such version."""

    def begin(self, version: int) -> None:
        """Begin a version, and remove what a killed run left of it.

        Raises:
            UserError: the backend cannot hold a version.
        """

    def put(self, version: int, kind: str, ids: Sequence[str], records: Sequence[bytes]) -> list[str]:
        """Add entries to a version that is not sealed; returns ids that were there already, whose entries stay.

        Raises:
            UserError: they cannot be written.
        """

    def seal(self, version: int, manifest: Document) -> None:
        """Check that all entries are stored, flush them as far as the backend can, and write the manifest last.

        Raises:
            UserError: entries are missing, or it cannot be written.
        """

    def note(self, version: int, manifest: Document) -> None:
        """Replace the manifest of a sealed version atomically."""

    def drop(self, version: int) -> None:
        """Remove a version, finished or not; readers that pinned it get an error at their next call."""

    def clear(self) -> None:
        """Remove unfinished versions of killed writers. The caller holds the writer's lock."""

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
        """Replace or add entries of a sealed version, and store its refresher's position, atomically.

        Raises:
            UserError: they cannot be written.
        """

    def changes(self, version: int, kind: str, since: int) -> tuple[int, list[str]]:
        """Return the ids that `update` changed after `since` (0 = all), and the value of `since` for the next call."""

    def position(self, version: int) -> str:
        """Return the refresher's position; "" at the start."""

    def check(self, version: int) -> list[str]:
        """Return the faults of a stored version: missing parts, wrong sizes; [] for none."""

    def close(self) -> None:
        """Close what is open."""


STORE_BACKENDS: Registry[Callable[[str], StoreBackend]] = Registry("store of vectors")
"""Openers of a backend at a place, by the place's scheme; they raise `UserError` where it cannot be opened."""
