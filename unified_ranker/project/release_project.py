"""The project that a release belongs to: its prepared data, and what it declares of the store now."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.project.stages import Pipeline
from unified_ranker.project.workspace import STAMP, Workspace, project_of, stamp_of
from unified_ranker.release.layout import MANIFEST
from unified_ranker.release.manifest import Manifest, read_manifest


@dataclass(frozen=True)
class ReleaseProject:
    """A release with its project.

    Attributes:
        release: its directory, resolved: `latest` is what it means now.
        manifest: of the release.
        config: the declarations that the release was made by, but for `export.embeddings`, which are the present ones.
        root: the project's directory.
    """

    release: Path
    manifest: Manifest
    config: Config
    root: Path

    @property
    def workspace(self) -> Workspace:
        """The project as the release knows it."""
        return Workspace(self.root, self.config)

    def place(self, given: str | None) -> str:
        """Return where the store is: as given, else as declared, relative to the project."""
        if given is not None:
            return given
        declared = self.config.export.embeddings.store.place
        return str(self.root / declared) if scheme_of(declared) == DIRECTORY else declared

    def offline(self) -> Path | None:
        """Return the directory of the offline copy, if there is to be one."""
        declared = self.config.export.embeddings.store.offline
        return None if declared is None else self.root / declared.expanduser()

    def prepared(self) -> tuple[Path, str]:
        """Return the directory of the prepared data, made now if it is not up to date, and what names them."""
        Pipeline(self.workspace).prepare()
        return self.as_prepared()

    def as_prepared(self) -> tuple[Path, str]:
        """Return the prepared data as they lie there.

        Raises:
            UserError: there are none.
        """
        directory = self.workspace.stage("prepare")
        if not (directory / STAMP).is_file():
            raise UserError(f"`{self.root}` has no prepared data at `{directory}`. Run `unified-ranker prepare` there.")
        return directory, str(stamp_of(directory)["key"])

    def lineage(self) -> dict[str, Any]:
        """Return what a version of the store keeps of the release, so that the chain can be walked back."""
        return {
            "version": self.manifest.version,
            "project": self.manifest.project,
            "path": str(self.release),
            "manifest_sha256": sha256(self.release / MANIFEST),
            "config_hash": self.manifest.config_hash,
            "git_commit": self.manifest.git_commit,
            "data": None if self.manifest.data is None else self.manifest.data.model_dump(),
        }


def open_project(release: Path, project: Path | None) -> ReleaseProject:
    """Find the project of a release.

    Args:
        release: its directory.
        project: the project's; None: the one in whose `releases_dir` the release lies.

    Raises:
        UserError: it is no release, or the project is not there or another one.
    """
    release = release.resolve()
    manifest = read_manifest(release)
    made_by = manifest.config
    root = (project or project_of(release, made_by)).resolve()
    if not (root / "project.yaml").is_file():
        raise UserError(
            f"`{root}` is no project: it holds no project.yaml, and what users did is there. Name the release's own "
            "with --project."
        )
    present = load_config(root)
    if present.project.name != manifest.project:
        raise UserError(
            f"`--project` must be the project of the release, `{manifest.project}`. Received: `{root}`, which is "
            f"`{present.project.name}`: its users and items are others."
        )
    export = made_by.export.model_copy(update={"embeddings": present.export.embeddings})
    return ReleaseProject(release, manifest, made_by.model_copy(update={"export": export}), root)
