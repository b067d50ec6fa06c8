"""Release whose towers make the vectors, with what an export reads beside it and where it works."""

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
    """A release, and by which declarations its vectors are published.

    Attributes:
        directory: of the release, resolved: `latest` is what it means now.
        manifest: of the release.
        config: the declarations that the release was made by, but for `export.embeddings`, which are the present ones.
    """

    directory: Path
    manifest: Manifest
    config: Config

    def origin(self) -> dict[str, Any]:
        """Return what a version of the store keeps of the release, so that the chain can be walked back."""
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
    """Directory of prepared data, and the key of what they depend on."""

    directory: Path
    key: str


@dataclass(frozen=True)
class ExportInput:
    """Input of an export, and its working directory.

    Attributes:
        release: whose towers embed.
        prepared: the data that they embed.
        work: directory for what an interrupted export continues from.
        copy: the offline copy, if there is to be one.
    """

    release: EmbeddedRelease
    prepared: PreparedFiles
    work: Path
    copy: DeltaCopy | None
