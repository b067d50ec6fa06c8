"""Project of a release, with its log and its present declarations of the store."""

import os
from dataclasses import dataclass
from pathlib import Path

from unified_ranker.config import Config
from unified_ranker.config.loading import load_config
from unified_ranker.config.yaml_files import PROJECT_YAML
from unified_ranker.core.errors import UserError
from unified_ranker.core.places import DIRECTORY, scheme_of
from unified_ranker.project.stage_cache import is_finished, stamp_of
from unified_ranker.project.stage_context import StageContext
from unified_ranker.project.workspace import Workspace
from unified_ranker.release.manifest import Manifest, read_manifest
from unified_ranker.store.delta import DeltaCopy
from unified_ranker.vectors.embedded_release import EmbeddedRelease, ExportInput, PreparedFiles


def path_to_project(release: Path, project: Path) -> str:
    """Return the path from a release to its project, for the manifest; it holds wherever both are moved together."""
    return os.path.relpath(project.resolve(), release.resolve())


def directory_of_project(release: Path, manifest: Manifest) -> Path:
    """Return the directory of a release's project, whether or not there is a project.

    It is the one that the manifest notes. An earlier manifest notes none; then the directory is as many levels up as
    the release's `releases_dir` says, which is right for a `releases_dir` inside of the project.
    """
    if manifest.project_path is not None:
        return (release.resolve() / manifest.project_path).resolve()
    folder, above = manifest.config.project.releases_dir.expanduser(), release.resolve().parents
    levels = 1 if folder.is_absolute() else len(Path(os.path.normpath(folder)).parts)
    return above[min(levels, len(above) - 1)]


def words_for_no_project(release: Path, manifest: Manifest) -> str:
    """Word what to do where `find_project` finds no project of a release."""
    return (
        f"`{directory_of_project(release, manifest)}` must be the release's project, which holds the events. Received: "
        f"no {PROJECT_YAML} there. Name the project with --project."
    )


def words_for_no_data(workspace: Workspace) -> str:
    """Word what to do where a project has no prepared data."""
    return (
        f"`{workspace.project}` has no prepared data at `{workspace.stage('prepare')}`. Run `unified-ranker prepare` "
        "there."
    )


def find_project(release: Path, named: Path | None) -> Workspace | None:
    """Find the project of a release.

    Args:
        release: its directory.
        named: the project's directory as a user has named it; None: the release's own, see `directory_of_project`.

    Returns:
        The project, with the declarations that its data are read by: its own where it was named, since its tables may
        have moved, else the release's, since `--set` may have named other tables. None where no project is found.

    Raises:
        UserError: there is no release, or what was named is no project, or another one.
    """
    manifest = read_manifest(release)
    if named is not None:
        config = load_config(named)
        _require_same(manifest, config, named)
        return Workspace(named.resolve(), config)
    root = directory_of_project(release, manifest)
    return Workspace(root, manifest.config) if (root / PROJECT_YAML).is_file() else None


def find_prepared_files(workspace: Workspace) -> PreparedFiles | None:
    """Return the prepared data of a project as they are; None where there are none."""
    directory = workspace.stage("prepare")
    return PreparedFiles(directory, str(stamp_of(directory)["key"])) if is_finished(directory) else None


@dataclass(frozen=True)
class ReleaseProject:
    """A release with its project.

    Attributes:
        embedded: the release, with the project's present declarations of the store.
        workspace: the project.
    """

    embedded: EmbeddedRelease
    workspace: Workspace

    def place(self, given: str | None) -> str:
        """Return where the store is: as given, else as declared, relative to the project."""
        if given is not None:
            return given
        declared = self.embedded.config.export.embeddings.store.place
        return str(self.workspace.resolve(Path(declared))) if scheme_of(declared) == DIRECTORY else declared

    def prepared(self) -> PreparedFiles:
        """Return the prepared data, made now where they are not up to date."""
        # Imported here, because a service uses this module without the libraries of preparation.
        from unified_ranker.project.prepare_stage import prepare_stage

        prepare_stage(StageContext(self.workspace))
        return self.as_prepared()

    def as_prepared(self) -> PreparedFiles:
        """Return the prepared data as they are.

        Raises:
            UserError: there are none.
        """
        files = find_prepared_files(self.workspace)
        if files is None:
            raise UserError(words_for_no_data(self.workspace))
        return files

    def export_input(self) -> ExportInput:
        """Return the input of an export of vectors; the data are prepared now where they are not up to date.

        Raises:
            UserError: a library for the offline copy is not installed, or the data cannot be prepared.
        """
        declared = self.embedded.config.export.embeddings.store.offline
        # First, because it may refuse.
        copy = None if declared is None else DeltaCopy(self.workspace.resolve(declared))
        return ExportInput(self.embedded, self.prepared(), self.workspace.work / "embeddings", copy)

    def reopen(self, release: Path) -> EmbeddedRelease:
        """Return another release of the same project."""
        return open_project(release, self.workspace.project).embedded


def open_project(release: Path, named: Path | None) -> ReleaseProject:
    """Open a release with its project; see `find_project`.

    Raises:
        UserError: there is no release, or the project is not there or another one.
    """
    release = release.resolve()
    manifest = read_manifest(release)
    workspace = find_project(release, named)
    if workspace is None:
        raise UserError(words_for_no_project(release, manifest))
    present = load_config(workspace.project)
    _require_same(manifest, present, workspace.project)
    export = manifest.config.export.model_copy(update={"embeddings": present.export.embeddings})
    config = manifest.config.model_copy(update={"export": export})
    return ReleaseProject(EmbeddedRelease(release, manifest, config), workspace)


def _require_same(manifest: Manifest, config: Config, project: Path) -> None:
    if config.project.name != manifest.project:
        raise UserError(
            f"`--project` must be the project of the release, `{manifest.project}`. Received: `{project}`, which is "
            f"`{config.project.name}`: it has other users and items. Name the right one, or leave the option out."
        )
