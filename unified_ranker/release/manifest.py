"""Manifest of a release: its parts, its origin and its metrics. It is written last.

Every later version of the engine reads a manifest. A new field needs a default for earlier releases; any change after
which they could not be read needs a new `MANIFEST_FORMAT`.
"""

import json
from functools import cached_property
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, ValidationError

from unified_ranker.config import Config
from unified_ranker.config.wording import SettingOrigin, word_errors
from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.extensions import MissingExtensionError
from unified_ranker.core.files import write_whole
from unified_ranker.evaluation.blend_weights import TaskBlend
from unified_ranker.evaluation.overall_metrics import OverallMetrics
from unified_ranker.release.carried_extensions import ReleaseExtension, absent_packages, missing_error, open_extensions
from unified_ranker.release.counts import CountsDescription
from unified_ranker.release.index import IndexDescription
from unified_ranker.release.layout import RELEASE_MANIFEST, Layout
from unified_ranker.release.provenance import git_commit, library_versions

MANIFEST_FORMAT: Final = 1


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")


class PartVersions(_Part):
    """Release numbers of the parts, which all equal the release's own."""

    model: int
    vectors: int
    index: int


class DataWindow(_Part):
    """Times in seconds since 1970: the log's first event, the end (exclusive) of the fit window, the last event."""

    start: int
    fit_end: int
    end: int


class ReleaseData(_Part):
    """Log that the release was made from: checksum of its files, its times, and its kinds of event.

    Releases of earlier versions name no kinds.
    """

    checksum: str
    window: DataWindow
    event_types: tuple[str, ...] = ()


class Parent(_Part):
    """Release that this one replaced: its number, and the SHA-256 of its manifest."""

    version: int
    manifest_sha256: str


class Manifest(_Part):
    """Manifest of a release.

    Attributes:
        format: of the manifest.
        project: name of the project.
        model_name: by which the model is served.
        version: number of the release.
        versions: of its parts.
        build_key: digest of all that the release depends on; releases with the same key are the same.
        declarations: the configuration as it was written, for its hash; use `config` to read it.
        config_hash: of `declarations`.
        extensions: modules that register implementations; none for earlier releases.
        tasks_trained: surfaces that the model was trained for.
        data: the log that the release was made from.
        rows: of the prepared tables, by name.
        vector_width: of query and item vectors.
        quality: features of the quality vector, in order.
        heads: of the ranker.
        signatures: of the model.
        warmup_requests: number of recorded requests in the model.
        index: the retrieval index.
        counts: the events that popularity counts; None: the release has none, and popularity is that of the end of
            the fit window.
        metrics: of every scorer on each task; none for earlier releases.
        blends: what decides the order of each task's answers, and how much; none for a task without a fitted blend.
        parent: the release before; None for a first one.
        project_path: path from the release's directory to its project's; None for earlier releases.
        git_commit: of the engine; None where it was no checkout.
        libraries: versions of Python and of the engine's libraries.
        files: SHA-256 of every other file of the release, by its path.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)

    format: Literal[1] = MANIFEST_FORMAT
    project: str
    model_name: str
    version: int
    versions: PartVersions
    build_key: str = ""
    declarations: dict[str, Any] = Field(alias="config")
    config_hash: str
    extensions: tuple[ReleaseExtension, ...] = ()
    tasks_trained: tuple[str, ...]
    data: ReleaseData | None = None
    rows: dict[str, int]
    vector_width: int
    quality: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    signatures: tuple[str, ...] = ()
    warmup_requests: int = 0
    index: IndexDescription | None = None
    counts: CountsDescription | None = None
    metrics: OverallMetrics = OverallMetrics({})
    blends: tuple[TaskBlend, ...] = ()
    parent: Parent | None
    project_path: str | None = None
    git_commit: str | None = None
    libraries: dict[str, str] = Field(default_factory=dict)
    files: dict[str, str] = Field(default_factory=dict)
    _release: Path | None = PrivateAttr(None)

    @property
    def extension_names(self) -> tuple[str, ...]:
        """Modules that the declarations name."""
        return tuple(self.declarations.get("project", {}).get("extensions", ()))

    @cached_property
    def extension_directory(self) -> Path | None:
        """Directory with the extensions that the release carries, which have been imported from it; None: none.

        Raises:
            UserError: one is missing, or a file is not as the manifest lists it.
        """
        if self._release is None:
            return None
        try:
            return open_extensions(self._release, self.files, self.extension_names)
        except MissingExtensionError as error:
            raise missing_error(error, f"release {self.version}", self.extensions) from error

    @cached_property
    def config(self) -> Config:
        """The declarations that the release was made with; the extensions that they need are imported.

        Raises:
            UserError: they are no configuration of this version of the engine, or an extension is missing.
        """
        _ = self.extension_directory
        try:
            return Config.model_validate(_without_dropped(self.declarations))
        except ValidationError as error:
            mistakes = " ".join(word_errors(SettingOrigin(RELEASE_MANIFEST, ("config",), Config), error, ()))
            raise UserError(
                f"{mistakes}{absent_packages(self.extensions)} Train and export again, or install the version of "
                f"unified_ranker that made release {self.version}; a release is never edited."
            ) from error

    @property
    def has_text_ops(self) -> bool:
        """True if the model holds ops of TensorFlow Text, which a process must import before it loads the model."""
        return self.config.towers.item.text.serves_text_ops


def write_manifest(layout: Layout, manifest: Manifest) -> None:
    """Write a manifest, with the commit, the versions of libraries and the SHA-256 of every file added."""
    files = {
        str(file.relative_to(layout.root)): sha256(file)
        for file in sorted(layout.root.rglob("*"))
        if file.is_file() and file != layout.manifest
    }
    known = {"git_commit": git_commit(), "libraries": library_versions(), "files": files}
    tree = manifest.model_copy(update=known).model_dump(mode="json", by_alias=True)
    write_whole(layout.manifest, json.dumps(tree, indent=2))


def read_manifest(release: Path) -> Manifest:
    """Read the manifest of a release.

    Raises:
        UserError: there is none, it is damaged, or of another format.
    """
    file = release / RELEASE_MANIFEST
    if not file.is_file():
        raise _no_release(release)
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"`{file}` is damaged: {error}. Export again; a release is never edited.") from error
    found = tree.get("format") if isinstance(tree, dict) else None
    if found != MANIFEST_FORMAT:
        raise UserError(
            f"`{file}` has format {found!r}; this version of unified_ranker reads {MANIFEST_FORMAT}. "
            "Install the version that wrote it, or export again."
        )
    try:
        manifest = Manifest.model_validate(tree)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(step) for step in first["loc"])
        received = "" if first["type"] == "missing" else f" Received: {first['input']!r}."
        raise UserError(
            f"`{key}` of `{file}`: {first['msg']}.{received} Export again; a release is never edited."
        ) from error
    manifest._release = release.resolve()
    return manifest


def _no_release(release: Path) -> UserError:
    """Build the error for a directory without a manifest; it names the releases in it or beside it."""
    inside = _releases_in(release)
    if inside:
        return UserError(
            f"`{release}` is a directory of releases, and no release: it has no {RELEASE_MANIFEST}. "
            f"Name one of them: {', '.join(inside)}."
        )
    near = _releases_in(release.parent)
    found = f"Releases there: {', '.join(near)}." if near else "There is no release beside it."
    return UserError(
        f"`{release}` is no release: it holds no {RELEASE_MANIFEST}. {found} "
        "Name one, or make one with `unified-ranker build`."
    )


def _releases_in(directory: Path) -> list[str]:
    return sorted(p.name for p in directory.glob("*") if (p / RELEASE_MANIFEST).is_file()) if directory.is_dir() else []


def _without_dropped(declarations: dict[str, Any]) -> dict[str, Any]:
    """Return declarations without the settings of earlier versions that never had an effect."""
    project = {name: value for name, value in declarations.get("project", {}).items() if name != "samples"}
    return {**declarations, "project": project}
