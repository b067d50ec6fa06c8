"""Layout of releases: immutable, numbered directories and the paths of their parts."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.core.files import clear_drafts, numbered_entries, whole_directory
from unified_ranker.core.locks import lock

RELEASE_MANIFEST = "manifest.json"


@dataclass(frozen=True)
class Layout:
    """Layout of a release: the paths of its parts below its directory."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The manifest, written last."""
        return self.root / RELEASE_MANIFEST

    @property
    def model_base(self) -> Path:
        """TF Serving's base path: holds one version directory, named by the release."""
        return self.root / "model"

    @property
    def items(self) -> Path:
        """Item vectors as Parquet."""
        return self.root / "items"

    @property
    def catalogue(self) -> Path:
        """Titles and creation times of the items."""
        return self.root / "catalogue"

    @property
    def counts(self) -> Path:
        """Events that popularity counts; early releases have none."""
        return self.root / "counts"

    @property
    def index(self) -> Path:
        """The retrieval index."""
        return self.root / "index"

    def saved_model(self) -> Path:
        """The one version directory below `model_base`."""
        versions = list(numbered_entries(self.model_base).values())
        if len(versions) != 1:
            raise UserError(
                f"`{self.model_base}` must hold one version directory. Received: {[p.name for p in versions]}. "
                "Export again; a release is never edited."
            )
        return versions[0]


def release_numbers(releases: Path) -> list[int]:
    """Return the numbers of the finished releases in a directory, ascending."""
    return [number for number, p in numbered_entries(releases).items() if (p / RELEASE_MANIFEST).is_file()]


def next_version(releases: Path) -> int:
    """Return the number after the highest release in `releases`."""
    return max(numbered_entries(releases), default=0) + 1


@contextlib.contextmanager
def new_release(releases: Path) -> Iterator[tuple[Layout, int]]:
    """Yield a draft directory for a release, which is renamed to the next version when the block ends without error.

    After an error the draft is removed; the next run removes the draft of a killed one. `latest` points at the newest
    release.

    Raises:
        UserError: another run is writing a release there, or the directory cannot be written.
    """
    with lock(releases, ".lock-of-release", "writing a release", "project.releases_dir"):
        clear_drafts(releases, "[0-9]*")
        version = next_version(releases)
        with whole_directory(releases / str(version)) as draft:
            layout = Layout(draft)
            for folder in (layout.model_base, layout.items, layout.catalogue, layout.index):
                folder.mkdir()
            yield layout, version
        point_latest(releases, version)


def point_latest(releases: Path, version: int) -> None:
    """Point the link `latest` at a version, atomically."""
    link = releases / f".latest-{os.getpid()}"
    link.unlink(missing_ok=True)
    link.symlink_to(str(version))
    link.replace(releases / "latest")
