"""Publishing of a sealed version, after the checks of the guards, and rollback to the previous one."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.store.base import StoreBackend
from unified_ranker.store.guards import NAMES, Limits, check_movement
from unified_ranker.store.state import StoreState, require_format
from unified_ranker.store.tally import VectorCheck

KEEP = 3
"""Number of earlier versions that are kept for rollback."""


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
    alone = [VectorCheck.of_document(document) for document in manifest["checks"] if document["name"] in _ALONE]
    limits = limits or Limits(**manifest["limits"])
    beside = check_movement(backend, version, state.published, limits) if state.published else []
    checks = [*alone, *beside]
    failed = [check for check in checks if not check.passed]
    open_ones = [check for check in failed if check.name not in force]
    manifest = {**manifest, "checks": [check.document() for check in checks]}
    if open_ones:
        backend.note(version, manifest)
        names = " ".join(f"--force {name}" for name in dict.fromkeys(c.name for c in open_ones))
        listed = "\n".join(f"  {check.line()}" for check in open_ones)
        still = f"version {state.published} stays published" if state.published else "nothing is published yet"
        raise GuardError(
            f"version {version} of `{backend.place}` is not published, and {still}; {len(open_ones)} checks fail:\n"
            f"{listed}\nRemove the cause and export again; or, if the change is intended: "
            f"unified-ranker store publish {backend.place} {version} {names}",
            checks,
        )
    forced = [*manifest["forced"], *(check.document() for check in failed)]
    backend.note(version, {**manifest, "forced": forced, "published_at": int(time.time())})
    _switch(backend, state.publish(version, manifest["space"]["reference"], _keep(manifest, keep)))
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
    reference = manifest["space"]["reference"]
    backend.switch(replace(state, published=version, previous=tuple(earlier), reference=reference).document())
    return version


def require_version(backend: StoreBackend, version: int) -> dict[str, Any]:
    """Return the manifest of a sealed version.

    Raises:
        UserError: there is none, or it is of another format.
    """
    manifest = backend.manifest(version)
    if manifest is None:
        raise UserError(f"`{backend.place}` has no version {version}. There: {backend.versions() or 'none'}.")
    require_format(manifest, f"version {version} of `{backend.place}`")
    return manifest


def _keep(manifest: dict[str, Any], keep: int | None) -> int:
    return int(manifest.get("keep", KEEP)) if keep is None else keep


def _switch(backend: StoreBackend, state: StoreState) -> None:
    backend.switch(state.document())
    kept = state.kept
    for version in state.previous:
        manifest = backend.manifest(version)
        if manifest is not None:
            kept.add(manifest["space"]["reference"])
    for version in backend.versions():
        if version not in kept:
            backend.drop(version)


_ALONE = NAMES[: NAMES.index("missing") + 1]
