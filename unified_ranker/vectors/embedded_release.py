"""Release whose towers make the vectors, and the other inputs of an export."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_ranker.config import Config
from unified_ranker.core.digests import sha256
from unified_ranker.release.layout import MANIFEST
from unified_ranker.release.manifest import Manifest
from unified_ranker.store.delta import DeltaCopy


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

    def origin(self) -> dict[str, Any]:
        """Return the facts of the release that a version of the store holds, for `store verify`."""
        return {
            "version": self.manifest.version,
            "project": self.manifest.project,
            "path": str(self.directory),
            "manifest_sha256": sha256(self.directory / MANIFEST),
            "config_hash": self.manifest.config_hash,
            "git_commit": self.manifest.git_commit,
            "data": None if self.manifest.data is None else self.manifest.data.model_dump(),
        }


@dataclass(frozen=True)
class PreparedFiles:
    """Directory of prepared data, and their key."""

    directory: Path
    key: str


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
