"""State of a store: the published version, those before it, and the space of each, in one small document."""

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any

from unified_ranker.core.errors import UserError

STORE_FORMAT = 1
"""Format of a store's data. A store of another format is refused."""


@dataclass(frozen=True)
class StoreState:
    """Pointer to the published version, with the versions before it.

    Attributes:
        published: the version that readers follow; 0: none yet.
        previous: earlier published versions, the newest first, for rollback.
        next: the number of the next version; numbers are never reused.
        reference: the version whose space all later ones are mapped into; 0: none yet.
        format: see `STORE_FORMAT`.
    """

    published: int = 0
    previous: tuple[int, ...] = ()
    next: int = 1
    reference: int = 0
    format: int = STORE_FORMAT

    @classmethod
    def of(cls, document: dict[str, Any] | None, place: str) -> "StoreState":
        """Read the document; a new store's is None.

        Raises:
            UserError: it is of another format, or damaged.
        """
        if document is None:
            return cls()
        require_format(document, f"`{place}`")
        with undamaged_document(f"the state of `{place}`"):
            return cls(**{**document, "previous": tuple(document["previous"])})

    def document(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {**asdict(self), "previous": list(self.previous)}

    def publish(self, version: int, reference: int, keep: int) -> "StoreState":
        """Return the state after a switch to `version`; `keep` earlier ones are kept for rollback."""
        earlier = [self.published, *self.previous] if self.published else []
        previous = tuple(v for v in dict.fromkeys(earlier) if v != version)[:keep]
        return replace(self, published=version, previous=previous, reference=reference)

    @property
    def kept(self) -> set[int]:
        """Return the versions that must not be dropped, such as the reference, which later ones are mapped onto."""
        return {self.published, *self.previous, self.reference} - {0}


@contextlib.contextmanager
def undamaged_document(what: str) -> Iterator[None]:
    """Turn an error in the reading of a document of a store into one that names it."""
    try:
        yield
    except UserError:
        raise
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError, MemoryError) as error:
        raise UserError(
            f"{what} is damaged: {type(error).__name__}: {error}. Copy the store again, or export again."
        ) from error


def require_format(document: dict[str, Any], what: str) -> None:
    """Check that a document has the format of this version of the engine.

    Raises:
        UserError: it has not; the message names both formats.
    """
    with undamaged_document(what):
        found = document.get("format")
    if found != STORE_FORMAT:
        raise UserError(
            f"{what} has store format {found!r}; this version of unified_ranker reads {STORE_FORMAT}. "
            "Install the version that wrote it, or export into another place."
        )
