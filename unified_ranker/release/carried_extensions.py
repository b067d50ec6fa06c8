"""Extensions of a release: the files that it carries, and the packages that it needs.

To open a release is to run the code that it carries, as to serve it is to run its model. The bytes that run are those
whose SHA-256 was compared with the manifest: they are read once and copied, and nothing is written into the release.
"""

import functools
import hashlib
import shutil
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from unified_ranker.core.errors import UserError, listed
from unified_ranker.core.extensions import MissingExtensionError, extension_files, load_extensions
from unified_ranker.core.extras import is_installed
from unified_ranker.core.registry import loaded_entry_points

FOLDER = "extensions"
"""Directory of a release with the files of its extensions, as they lay beside project.yaml."""


class ReleaseExtension(BaseModel):
    """Module that a release was made with.

    Attributes:
        module: its name.
        carried: whether the release holds its files; else it is to be installed.
        requirement: the package that it came from, as a requirement; "" where it came from none.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    module: str
    carried: bool
    requirement: str = ""


def write_extensions(release: Path, modules: Sequence[str], project: Path) -> tuple[ReleaseExtension, ...]:
    """Copy the files of a project's extensions into a release.

    Args:
        release: directory of the release that is written.
        modules: those that project.yaml names.
        project: directory of project.yaml.

    Returns:
        The modules, and those that installed packages bring.
    """
    for relative, file in extension_files(modules, project).items():
        target = release / FOLDER / relative
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(file, target)
    return tuple(
        ReleaseExtension(module=name, carried=True)
        if extension_files([name], project)
        else ReleaseExtension(module=name, carried=False, requirement=_requirement(name))
        for name in dict.fromkeys((*modules, *loaded_entry_points()))
    )


def open_extensions(release: Path, files: Mapping[str, str], modules: Sequence[str]) -> Path | None:
    """Import the extensions of a release.

    Args:
        release: its directory.
        files: SHA-256 of the release's files, by their paths.
        modules: those that its declarations name.

    Returns:
        A directory with the files that the release carries, which goes with this process; None where it carries none.

    Raises:
        UserError: a file is not as the manifest lists it, so that none of them was run.
        MissingExtensionError: one cannot be imported.
    """
    carried = _verified(release, files)
    directory = _copy_of(carried) if carried else None
    load_extensions(modules, directory)
    return directory


def missing_error(error: MissingExtensionError, release: str, known: Iterable[ReleaseExtension]) -> UserError:
    """Word the error about a release, given by its name, that needs a module which is not there."""
    need = "" if error.missing == error.extension else f" imports `{error.missing}`, which"
    packages = {one.module: one.requirement for one in known}
    named = packages.get(error.extension, "")
    if error.missing != error.extension:
        remedy = "Install the package that has it."
    elif named:
        remedy = f"Install the package `{named}`."
    else:
        remedy = (
            f"Put the directory of `{error.missing.partition('.')[0]}` on PYTHONPATH, or export again with its file "
            "beside project.yaml: the release then carries it."
        )
    return UserError(f"{release} needs the extension `{error.extension}`, which{need} is not {error.looked}. {remedy}")


def absent_packages(extensions: Iterable[ReleaseExtension]) -> str:
    """Return a sentence that names the installed packages a release was made with and which are not here; or ""."""
    absent = [one for one in extensions if not one.carried and not is_installed(one.module)]
    names = listed(one.requirement or one.module for one in absent)
    return f" The release was made with these packages, which are not installed here: {names}." if absent else ""


def _verified(release: Path, files: Mapping[str, str]) -> tuple[tuple[str, bytes], ...]:
    """Return paths and bytes of the files that a release carries, each as the manifest lists it."""
    declared = {name: digest for name, digest in files.items() if name.startswith(f"{FOLDER}/")}
    present = {file.relative_to(release).as_posix() for file in (release / FOLDER).rglob("*") if file.is_file()}
    if different := sorted(present.symmetric_difference(declared)):
        raise UserError(
            f"the code in `{release / FOLDER}` must be that of the manifest, so it was not run. Received: "
            f"{listed(different[:3])}, which only one of them has. Copy the release again."
        )
    read = {name: (release / name).read_bytes() for name in declared}
    for name, content in read.items():
        if hashlib.sha256(content).hexdigest() != declared[name]:
            raise UserError(
                f"`{release / name}` has changed since the release was written, so it was not run: its SHA-256 "
                "differs from the manifest's. Copy the release again."
            )
    return tuple((name.removeprefix(f"{FOLDER}/"), content) for name, content in read.items())


_copies: list["tempfile.TemporaryDirectory[str]"] = []


@functools.cache
def _copy_of(files: tuple[tuple[str, bytes], ...]) -> Path:
    """Write files into a directory that goes with this process, once for the same files."""
    _copies.append(tempfile.TemporaryDirectory(prefix="unified-ranker-extensions-"))
    directory = Path(_copies[-1].name)
    for name, content in files:
        (directory / name).parent.mkdir(parents=True, exist_ok=True)
        (directory / name).write_bytes(content)
    return directory


def _requirement(module: str) -> str:
    """Return the installed package that brings a module, as a requirement."""
    packages = metadata.packages_distributions().get(module.partition(".")[0], [])
    return f"{packages[0]}=={metadata.version(packages[0])}" if packages else ""
