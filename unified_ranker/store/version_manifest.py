"""Manifest of a version of the vectors: its entries, the release that made them, its vector space and its checks.

A backend keeps it as a document of JSON values, the form of which is written and read here alone. A version that an
earlier engine wrote must open: a new field needs a default, any other change a new `STORE_FORMAT`.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from unified_ranker.core.errors import UserError
from unified_ranker.store.alignment import VectorSpace
from unified_ranker.store.base import Document, StoreBackend
from unified_ranker.store.limits import Limits
from unified_ranker.store.state import STORE_FORMAT, require_format, undamaged_document
from unified_ranker.store.tally import VectorCheck

VERSIONS_KEPT = 3
"""Number of earlier versions that are kept for rollback."""


@dataclass(frozen=True)
class KindEntries:
    """Entries of one kind: the width of their vectors, their number, and the digest of all vectors."""

    width: int
    count: int
    digest: str


@dataclass(frozen=True)
class LogOrigin:
    """Log that a release was made from: checksum of its files; its first event, end of the fit window, last event.

    Times are in seconds.
    """

    checksum: str
    start: int
    fit_end: int
    end: int


@dataclass(frozen=True)
class ReleaseOrigin:
    """Release whose towers made the vectors, with what proves that it is the one.

    Attributes:
        version: number of the release.
        project: its name.
        path: directory of the release when the vectors were made.
        manifest_sha256: of its manifest.
        config_hash: of its declarations.
        git_commit: of the engine; None where it was no checkout.
        log: that it was made from; None where the release notes none.
    """

    version: int
    project: str
    path: str = ""
    manifest_sha256: str = ""
    config_hash: str = ""
    git_commit: str | None = None
    log: LogOrigin | None = None

    def document(self) -> Document:
        """Return the origin as JSON values."""
        out, log = asdict(self), self.log
        del out["log"]
        data = None
        if log is not None:
            data = {
                "checksum": log.checksum,
                "window": {"start": log.start, "fit_end": log.fit_end, "end": log.end},
            }
        return {**out, "data": data}

    @classmethod
    def of_document(cls, document: Document) -> "ReleaseOrigin":
        """Read what `document` returned."""
        known, data = dict(document), document.get("data")
        known.pop("data", None)
        return cls(**known, log=None if data is None else LogOrigin(data["checksum"], **data["window"]))


@dataclass(frozen=True, eq=False, kw_only=True)
class VersionNotes:
    """Facts that an export notes of a version.

    Attributes:
        release: whose towers made the vectors.
        as_of: time as of which users were embedded, seconds.
        space: that the vectors are in.
        key: digest of all that the vectors depend on.
        keep: number of earlier versions that are kept for rollback.
    """

    release: ReleaseOrigin
    as_of: int
    space: VectorSpace
    key: str = ""
    keep: int = VERSIONS_KEPT


@dataclass(frozen=True, eq=False, kw_only=True)
class VersionManifest(VersionNotes):
    """Manifest of a version.

    Attributes:
        version: its number.
        kinds: its entries by kind.
        created_at: when it was sealed, seconds.
        limits: of its checks.
        checks: their findings.
        published_at: when it was published, seconds; None: never.
        forced: failed checks in spite of which it was published.
        of_backend: further values that a backend keeps with it, such as the size of its file.
    """

    version: int
    kinds: Mapping[str, KindEntries]
    created_at: int
    limits: Limits
    checks: tuple[VectorCheck, ...]
    published_at: int | None = None
    forced: tuple[VectorCheck, ...] = ()
    of_backend: Mapping[str, Any] = field(default_factory=dict)

    @property
    def kinds_line(self) -> str:
        """The kinds of entries with their counts and widths, such as `1,682 item x 66, 943 user x 66`."""
        return ", ".join(f"{own.count:,} {kind} x {own.width}" for kind, own in self.kinds.items())

    @property
    def forced_line(self) -> str:
        """The names of the forced checks, to be put behind a line; "" for none."""
        names = sorted({check.name for check in self.forced})
        return f"; forced checks: {', '.join(names)}" if names else ""

    def document(self) -> Document:
        """Return the manifest as JSON values."""
        return {
            "format": STORE_FORMAT,
            "version": self.version,
            "kinds": {kind: asdict(own) for kind, own in self.kinds.items()},
            "release": self.release.document(),
            "as_of": self.as_of,
            "key": self.key,
            "keep": self.keep,
            "space": self.space.document(),
            "created_at": self.created_at,
            "published_at": self.published_at,
            "limits": asdict(self.limits),
            "checks": [check.document() for check in self.checks],
            "forced": [check.document() for check in self.forced],
            **self.of_backend,
        }

    @classmethod
    def of_document(cls, document: Document, what: str) -> "VersionManifest":
        """Read what `document` returned; `what` names it in the error.

        Raises:
            UserError: it is of another format, or damaged.
        """
        require_format(document, what)
        with undamaged_document(what):
            return cls._of_known({name: value for name, value in document.items() if name != "format"})

    @classmethod
    def _of_known(cls, known: Document) -> "VersionManifest":
        return cls(
            version=known.pop("version"),
            kinds={kind: KindEntries(**own) for kind, own in known.pop("kinds").items()},
            release=ReleaseOrigin.of_document(known.pop("release")),
            as_of=known.pop("as_of"),
            key=known.pop("key", ""),
            keep=known.pop("keep", VERSIONS_KEPT),
            space=VectorSpace.of_document(known.pop("space")),
            created_at=known.pop("created_at"),
            published_at=known.pop("published_at"),
            limits=Limits(**known.pop("limits")),
            checks=tuple(VectorCheck.of_document(one) for one in known.pop("checks")),
            forced=tuple(VectorCheck.of_document(one) for one in known.pop("forced")),
            of_backend=known,
        )


def find_version(backend: StoreBackend, version: int) -> VersionManifest | None:
    """Return the manifest of a sealed version; None where there is no such version.

    Raises:
        UserError: it is of another format.
    """
    document = backend.manifest(version)
    if document is None:
        return None
    return VersionManifest.of_document(document, f"version {version} of `{backend.place}`")


def require_version(backend: StoreBackend, version: int) -> VersionManifest:
    """Return the manifest of a sealed version.

    Raises:
        UserError: there is none, or it is of another format.
    """
    manifest = find_version(backend, version)
    if manifest is None:
        raise UserError(f"`{backend.place}` has no version {version}. There: {backend.versions() or 'none'}.")
    return manifest


def missing_entries(backend: StoreBackend, manifest: VersionManifest) -> list[tuple[str, int, int]]:
    """Return (kind, stored, written) of each kind of which a store has fewer entries than were written."""
    counts = [(kind, backend.count(manifest.version, kind), own.count) for kind, own in manifest.kinds.items()]
    return [(kind, stored, written) for kind, stored, written in counts if stored < written]
