"""Agreed releases: those that all replicas of a service answer from, as its store has them."""

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from unified_ranker.core.errors import UserError
from unified_ranker.events.base import Agreements
from unified_ranker.release.layout import release_numbers

_NAME = "releases"
_MOST_BEFORE = 100

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class AgreedReleases:
    """Releases that the replicas of a service answer from.

    Attributes:
        stable: number of the release that answers.
        before: numbers of those that answered before, the last one last.
        canary: number of the release that answers a share of the users; None: there is none.
        share: of the users.
        newest: highest number of a release when this was agreed on.
    """

    stable: int
    before: tuple[int, ...] = ()
    canary: int | None = None
    share: float = 0.0
    newest: int = 0

    def loaded(self, version: int) -> "AgreedReleases":
        """Return what is agreed on when another release answers."""
        return replace(self, stable=version, before=(*self.before, self.stable)[-_MOST_BEFORE:])

    def rolled_back(self) -> "AgreedReleases":
        """Return what is agreed on when the release before answers again.

        Raises:
            UserError: there is none.
        """
        if not self.before:
            raise UserError("there is no previous release: the service has not changed releases.")
        return replace(self, stable=self.before[-1], before=self.before[:-1])


def read_agreed(store: Agreements) -> tuple[int, AgreedReleases] | None:
    """Return what the replicas agreed on last, with its number; None: nothing yet.

    Raises:
        StoreError: the store cannot be reached.
    """
    found = store.agreed(_NAME)
    return None if found is None else (found[0], _of(found[1]))


def release_to_start(named: Path, store: Agreements) -> tuple[Path, bool]:
    """Return the release that a service starts with, and whether that is what its replicas agreed on.

    A release that is named by its number is taken. A link, such as `releases/latest`, stands for what the replicas
    agreed on, so that one that starts again answers like the others, unless a release has come since.

    Raises:
        StoreError: the store cannot be reached.
    """
    resolved, found = named.resolve(), read_agreed(store)
    if found is None or not named.is_symlink():
        return resolved, False
    agreed, known = found[1], release_numbers(resolved.parent)
    if max(known, default=0) > agreed.newest or agreed.stable not in known:
        return resolved, False
    if agreed.stable != int(resolved.name):
        logger.warning("`%s` is release %s; release %d is what replicas agreed on", named, resolved.name, agreed.stable)
    return resolved.parent / str(agreed.stable), True


def write_agreed(store: Agreements, agreed: AgreedReleases) -> int:
    """Let the replicas agree; returns the agreement's number.

    Raises:
        StoreError: it cannot be stored.
    """
    return store.agree(_NAME, asdict(agreed))


def _of(value: Mapping[str, Any]) -> AgreedReleases:
    return AgreedReleases(**{**value, "before": tuple(value["before"])})
