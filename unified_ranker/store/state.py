"""State of a store: the published version, those before it, and the space of each, in one small document."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from unified_ranker.core.errors import UserError

STORE_FORMAT = 1
"""Of everything that the store keeps. A store of a newer format is refused, never guessed at."""


@dataclass(frozen=True)
class StoreState:
    """The pointer.

    Attributes:
        published: the version that readers follow; 0: none yet.
        previous: those published before, the newest first, which rollback goes back to.
        next: the number of the next version; numbers are never used again.
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
            UserError: it is of another format.
        """
        if document is None:
            return cls()
        require_format(document, f"`{place}`")
        return cls(**{**document, "previous": tuple(document["previous"])})

    def document(self) -> dict[str, Any]:
        """Return the state as JSON values."""
        return {**asdict(self), "previous": list(self.previous)}

    def publish(self, version: int, reference: int, keep: int) -> "StoreState":
        """Return the state after a switch to `version`; `keep` earlier ones stay for rollback."""
        earlier = [self.published, *self.previous] if self.published else []
        previous = tuple(v for v in dict.fromkeys(earlier) if v != version)[:keep]
        return replace(self, published=version, previous=previous, reference=reference)

    @property
    def kept(self) -> set[int]:
        """Return the versions that must not be dropped; the reference is among them, for later versions need it."""
        return {self.published, *self.previous, self.reference} - {0}


def require_format(document: dict[str, Any], what: str) -> None:
    """Refuse what another version of the engine wrote.

    Raises:
        UserError: naming both formats.
    """
    found = document.get("format")
    if found != STORE_FORMAT:
        raise UserError(
            f"{what} has store format {found!r}; this version of unified_ranker reads {STORE_FORMAT}. "
            "Install the version that wrote it, or export into another place."
        )
