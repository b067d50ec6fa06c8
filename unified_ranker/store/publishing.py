"""Publishing of a sealed version, after the checks of the guards, and rollback to the previous one."""

import time
from collections.abc import Sequence
from dataclasses import replace

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.store.base import StoreBackend
from unified_ranker.store.guards import NAMES, check_movement
from unified_ranker.store.limits import Limits
from unified_ranker.store.state import StoreState
from unified_ranker.store.tally import VectorCheck
from unified_ranker.store.version_manifest import find_version, require_version


class GuardError(UserError):
    """Error: a check stopped the publishing.

    Attributes:
        checks: all findings.
    """

    def __init__(self, message: str, checks: Sequence[VectorCheck]) -> None:
        super().__init__(message)
        self.checks = tuple(checks)


def publish(
    backend: StoreBackend,
    version: int,
    limits: Limits | None = None,
    force: Sequence[str] = (),
    keep: int | None = None,
) -> list[VectorCheck]:
    """Publish a sealed version; the writer's lock is held. Returns all findings.

    Args:
        backend: of the store.
        version: sealed.
        limits: of the checks; None: those that the version was written with.
        force: names of checks that may fail; those that failed are noted in the version's manifest.
        keep: number of earlier versions to keep; None: as in the version's manifest.

    Raises:
        GuardError: a check fails that is not forced. The published version is unchanged.
        UserError: there is no such version, or a forced check is unknown.
    """
    for name in force:
        if name not in NAMES:
            raise unknown_name("check", name, NAMES)
    manifest = require_version(backend, version)
    state = StoreState.of(backend.state(), backend.place)
    alone = [check for check in manifest.checks if check.name in _ALONE]
    moved = check_movement(backend, version, state.published, limits or manifest.limits) if state.published else []
    checks = [*alone, *moved]
    failed = [check for check in checks if not check.passed]
    open_ones = [check for check in failed if check.name not in force]
    manifest = replace(manifest, checks=tuple(checks))
    if open_ones:
        backend.note(version, manifest.document())
        names = " ".join(f"--force {name}" for name in dict.fromkeys(c.name for c in open_ones))
        listed = "\n".join(f"  {check.line()}" for check in open_ones)
        still = f"version {state.published} stays published" if state.published else "nothing is published yet"
        raise GuardError(
            f"version {version} of `{backend.place}` is not published, and {still}; {len(open_ones)} checks fail:\n"
            f"{listed}\nRemove the cause and export again; or, if the change is intended: "
            f"unified-ranker store publish {backend.place} {version} {names}",
            checks,
        )
    published = replace(manifest, forced=(*manifest.forced, *failed), published_at=int(time.time()))
    backend.note(version, published.document())
    _switch(backend, state.publish(version, manifest.space.reference, manifest.keep if keep is None else keep))
    return checks


def rollback(backend: StoreBackend) -> int:
    """Publish the version that was published before; returns its number. The writer's lock is held.

    Raises:
        UserError: none is kept.
    """
    state = StoreState.of(backend.state(), backend.place)
    if not state.previous:
        raise UserError(
            f"`{backend.place}` keeps no version from before {state.published or 'the first'}. There: "
            f"{backend.versions()}. Publish one of those by its number, or export again."
        )
    version, *earlier = state.previous
    manifest = require_version(backend, version)
    if wrong := backend.check(version):
        raise UserError(f"version {version} cannot be rolled back to: {' '.join(wrong)}")
    after = replace(state, published=version, previous=tuple(earlier), reference=manifest.space.reference)
    backend.switch(after.document())
    return version


def _switch(backend: StoreBackend, state: StoreState) -> None:
    backend.switch(state.document())
    kept = state.kept
    for version in state.previous:
        manifest = find_version(backend, version)
        if manifest is not None:
            kept.add(manifest.space.reference)
    for version in backend.versions():
        if version not in kept:
            backend.drop(version)


_ALONE = NAMES[: NAMES.index("missing") + 1]
