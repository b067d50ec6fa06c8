"""Release whose towers make the vectors, and the other inputs of an export."""

from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config import Config
from unified_ranker.core.digests import sha256
from unified_ranker.prepare.prepared_folder import PreparedFolder
from unified_ranker.release.layout import RELEASE_MANIFEST
from unified_ranker.release.manifest import Manifest
from unified_ranker.store.delta import DeltaCopy
from unified_ranker.store.version_manifest import LogOrigin, ReleaseOrigin


@dataclass(frozen=True)
class EmbeddedRelease:
    """Release, with the declarations for publishing its vectors.

    Attributes:
        directory: of the release, resolved, because `latest` may change.
        manifest: of the release.
        config: the release's declarations, with the project's present `export.embeddings`.
    """

    directory: Path
    manifest: Manifest
    config: Config

    def origin(self) -> ReleaseOrigin:
        """Return the facts of the release that a version of the store holds, for `store verify`."""
        return ReleaseOrigin(
            version=self.manifest.version,
            project=self.manifest.project,
            path=str(self.directory),
            manifest_sha256=sha256(self.directory / RELEASE_MANIFEST),
            config_hash=self.manifest.config_hash,
            git_commit=self.manifest.git_commit,
            log=log_of_release(self.manifest),
        )


def log_of_release(manifest: Manifest) -> LogOrigin | None:
    """Return the log that a release was made from, as a version of the store holds it; None where it notes none."""
    data = manifest.data
    return None if data is None else LogOrigin(data.checksum, data.window.start, data.window.fit_end, data.window.end)


@dataclass(frozen=True)
class PreparedFiles:
    """Directory of prepared data, and their key."""

    directory: Path
    key: str

    @property
    def folder(self) -> PreparedFolder:
        """The data, to be read in parts."""
        return PreparedFolder(self.directory)


@dataclass(frozen=True)
class ExportInput:
    """Input of an export, and its working directory.

    Attributes:
        release: with the towers.
        prepared: the data to embed.
        work: directory of the shards, from which an interrupted export continues.
        copy: the offline copy; None: none.
    """

    release: EmbeddedRelease
    prepared: PreparedFiles
    work: Path
    copy: DeltaCopy | None
