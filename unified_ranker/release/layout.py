"""Releases: immutable directories of things that belong together, and the check that they still do."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.files import clear_drafts, whole_directory
from unified_ranker.core.locks import lock

MANIFEST = "manifest.json"
FORMAT = 1
LIBRARIES = (
    "unified_ranker", "tensorflow", "tf-keras", "tensorflow-recommenders", "scann", "tensorflow-serving-api",
    "apache-beam", "numpy", "pandas", "pyarrow", "protobuf",
)  # fmt: skip


@dataclass(frozen=True)
class Layout:
    """Where the parts of a release lie below its directory (design section 6)."""

    root: Path

    @property
    def manifest(self) -> Path:
        """The manifest, written last."""
        return self.root / MANIFEST

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
    def index(self) -> Path:
        """The retrieval index."""
        return self.root / "index"

    def saved_model(self) -> Path:
        """The one version directory below `model_base`."""
        versions = [p for p in self.model_base.iterdir() if p.name.isdigit()]
        if len(versions) != 1:
            raise UserError(
                f"`{self.model_base}` must hold one version directory. Received: {sorted(p.name for p in versions)}. "
                "Export again; a release is never edited."
            )
        return versions[0]


def next_version(releases: Path) -> int:
    """Return the number after the highest release in `releases`."""
    return max((int(p.name) for p in releases.glob("*") if p.name.isdigit()), default=0) + 1


@contextlib.contextmanager
def new_release(releases: Path) -> Iterator[tuple[Layout, int]]:
    """Offer a directory to write a release into; on success it appears in `releases` under the next version, whole.

    The directory is written beside its final place and renamed. Anything that goes wrong removes it; what a killed run
    left is removed by the next. `latest` points at the newest release.

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


def write_manifest(layout: Layout, content: dict) -> None:
    """Complete `content` by format, library versions, commit and the SHA-256 of every file, and write the manifest."""
    files = {
        str(file.relative_to(layout.root)): sha256(file)
        for file in sorted(layout.root.rglob("*"))
        if file.is_file() and file != layout.manifest
    }
    whole = {
        "format": FORMAT,
        **content,
        "git_commit": git_commit(),
        "libraries": {"python": sys.version.split()[0], **_library_versions()},
        "files": files,
    }
    layout.manifest.write_text(json.dumps(whole, indent=2), encoding="utf-8")


def read_manifest(release: Path) -> dict:
    """Read a release's manifest.

    Raises:
        UserError: when there is none, it is damaged, or of a newer format.
    """
    file = release / MANIFEST
    if not file.is_file():
        near = (
            sorted(p.name for p in release.parent.glob("*") if (p / MANIFEST).is_file())
            if release.parent.is_dir()
            else []
        )
        inside = sorted(p.name for p in release.glob("*") if (p / MANIFEST).is_file())
        if inside:
            raise UserError(
                f"`{release}` holds releases and is none itself: it has no {MANIFEST}. "
                f"Name one of them: {', '.join(inside)}."
            )
        found = f"Releases there: {', '.join(near)}." if near else "There is no release beside it."
        raise UserError(
            f"`{release}` is no release: it holds no {MANIFEST}. {found} "
            "Name one, or make one with `unified-ranker build`."
        )
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise UserError(f"`{file}` is damaged: {error}. Export again; a release is never edited.") from error
    found_format = manifest.get("format") if isinstance(manifest, dict) else None
    if found_format != FORMAT:
        raise UserError(
            f"`{file}` has format {found_format!r}; this version of unified_ranker reads {FORMAT}. "
            "Install the version that wrote it, or export again."
        )
    return manifest


def git_commit() -> str | None:
    """Return the commit of the engine's checkout, with "-dirty" for local changes; None outside a checkout."""
    try:
        # An engine that is installed below another repository's checkout is no file of it.
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        head, status = _git("rev-parse", "HEAD"), _git("status", "--porcelain")
    except (OSError, subprocess.CalledProcessError):
        return None
    return head + ("-dirty" if status else "")


def _git(*arguments: str) -> str:
    here = Path(__file__).parent
    return subprocess.run(["git", *arguments], cwd=here, capture_output=True, text=True, check=True).stdout.strip()


def _library_versions() -> dict[str, str]:
    out = {}
    for name in LIBRARIES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            out[name] = metadata.version(name)
    return out
