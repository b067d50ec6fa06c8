"""Verification of the chain from a vector to its release and data; an error names the first broken link.

The links are: pointer, version, data, vectors, entry, release, configuration, data window, commit.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.times import utc_text
from unified_ranker.release.layout import RELEASE_MANIFEST
from unified_ranker.release.links import Link, require_same, walk_links
from unified_ranker.release.manifest import Manifest, read_manifest
from unified_ranker.store.embedding_store import EmbeddingStore
from unified_ranker.store.records import unpack
from unified_ranker.store.tally import Tally
from unified_ranker.store.version_manifest import ReleaseOrigin, VersionManifest, require_version
from unified_ranker.vectors.embedded_release import log_of_release

_AT_ONCE = 10_000


def verify_store(
    store: EmbeddingStore, entry: tuple[str, str] | None = None, releases: Path | None = None
) -> list[str]:
    """Check the version that the store reads; returns one line for each link that holds, in order.

    Args:
        store: opened.
        entry: kind and id of a vector to check.
        releases: directory of the releases, if they were moved after the export.

    Raises:
        BrokenLinkError: naming the first link that does not hold, and why.
    """
    return walk_links(store.backend.place, _links(store, entry, releases))


def _links(store: EmbeddingStore, entry: tuple[str, str] | None, releases: Path | None) -> Iterator[Link]:
    yield "pointer", lambda: f"version {store.version}"
    version = store.version
    yield "version", lambda: _version(require_version(store.backend, version))
    manifest = store.manifest
    yield "data", lambda: _data(store, manifest)
    yield "vectors", lambda: _vectors(store, manifest)
    if entry is not None:
        yield "entry", lambda: _entry(store, manifest, *entry)
    yield "release", lambda: _release(manifest.release, releases)
    release = _read_release(manifest.release, releases)
    yield "configuration", lambda: require_same("config hash", release.config_hash, manifest.release.config_hash)
    yield "data window", lambda: _window(release, manifest.release)
    yield "commit", lambda: require_same("commit", release.git_commit, manifest.release.git_commit)


def _version(manifest: VersionManifest) -> str:
    moment, space = utc_text(manifest.as_of), manifest.space.reference
    return (
        f"{manifest.version}: {manifest.kinds_line}; as of {moment}; in the space of version {space}"
        f"{manifest.forced_line}"
    )


def _data(store: EmbeddingStore, manifest: VersionManifest) -> str:
    if wrong := store.backend.check(manifest.version):
        raise UserError(" ".join(wrong))
    return "as many entries as were written, or more"


def _vectors(store: EmbeddingStore, manifest: VersionManifest) -> str:
    """Check every vector; where none was refreshed, their digest must be that of the export."""
    backend, version, noted, refreshed = store.backend, manifest.version, manifest.kinds, 0
    for kind, expected in noted.items():
        tally, numbers = Tally(kind, expected.width), set()
        for ids, records in backend.scan(version, kind, _AT_ONCE):
            rows = unpack(records, expected.width)
            tally.add(ids, np.ascontiguousarray(rows["vector"]), np.ones(len(ids), bool))
            numbers.update(np.unique(rows["release"]).tolist())
        bad = tally.not_finite.count + tally.zero.count
        known = sum(c.count for c in manifest.forced if c.name in ("finite", "zero") and c.kind == kind)
        if bad > known:
            examples = [*tally.not_finite.examples, *tally.zero.examples]
            raise UserError(f"vectors must be finite and not zero. Received: {bad} {kind}s, e.g. {examples[:3]}.")
        if numbers - {manifest.release.version}:
            raise UserError(
                f"entries must be of release {manifest.release.version}. Received: {kind}s of {sorted(numbers)}."
            )
        _, changed = backend.changes(version, kind, 0)
        refreshed += len(set(changed))
        if not changed and tally.digest != expected.digest:
            raise UserError(
                f"the {kind} vectors are not those that were written: their digest is {tally.digest}, not "
                f"{expected.digest}. Roll back, or export again."
            )
    return "as they were written" if not refreshed else f"finite, {refreshed:,} of them refreshed since the export"


def _entry(store: EmbeddingStore, manifest: VersionManifest, kind: str, name: str) -> str:
    found = store.get(kind, name)
    if found is None:
        raise UserError(f"there is no {kind} `{name}`. Check the id.")
    return f"{kind} {name}: width {found.width}, of {utc_text(found.time)}, by release {found.release}"


def _release(noted: ReleaseOrigin, releases: Path | None) -> str:
    _read_release(noted, releases)
    return f"{noted.project} {noted.version}, manifest unchanged"


def _read_release(noted: ReleaseOrigin, releases: Path | None) -> Manifest:
    folder = releases / str(noted.version) if releases is not None else Path(noted.path)
    file = folder / RELEASE_MANIFEST
    if not file.is_file():
        raise UserError(f"release {noted.version} must lie at `{folder}`. Name where it is with --releases DIR.")
    require_same("SHA-256 of its manifest", sha256(file), noted.manifest_sha256)
    return read_manifest(folder)


def _window(release: Manifest, noted: ReleaseOrigin) -> str:
    log = log_of_release(release)
    require_same("data", log, noted.log)
    if log is None:
        return "none is noted in the release"
    return f"{utc_text(log.start)} to {utc_text(log.end)}, checksum {log.checksum[:16]}"
