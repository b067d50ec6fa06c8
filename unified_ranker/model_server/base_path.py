"""SavedModel versions under a base path, found without TensorFlow."""

import re
from pathlib import Path

from unified_ranker.core.errors import UserError

_DIGITS = re.compile(r"[0-9]{1,100}")
_LAST = 2**63 - 1
_REMEDY = "Give a release, or the directory above `<version>/saved_model.pb` that `unified-ranker export` wrote."


def resolve_base_path(path: Path | str) -> Path:
    """Return the base path that `path` means: `path` itself, or the `model/` of a release.

    Raises:
        UserError: `path` is no directory, or is itself a version, or holds no version.
    """
    given = Path(path)
    if not given.is_dir():
        what = "a file" if given.exists() else "a path that does not exist"
        raise UserError(f"`base_path` must be a directory. Received: `{given}`, {what}. {_REMEDY}")
    if (given / "saved_model.pb").is_file():
        raise UserError(
            f"`base_path` must be the directory above the versions. Received: `{given}`, which holds "
            f"`saved_model.pb` itself. Give the directory above it; this one's name must be a whole number."
        )
    for base_path in (given, given / "model"):
        if versions(base_path):
            return base_path
    found = ", ".join(f"`{child.name}`" for child in sorted(given.iterdir())[:5]) or "nothing"
    raise UserError(
        f"`base_path` must hold directories named by whole numbers, one per version. Received: `{given}`, "
        f"which holds {found}. {_REMEDY}"
    )


def versions(base_path: Path) -> dict[int, Path]:
    """Return the directory of every version under a base path, lowest version first.

    As in TF Serving, a version is a directory whose name is a whole number of 64 bits; anything else is ignored. `007`
    is version 7; beside `7` it is ignored, because the last name in the order of bytes is taken. What the directory
    holds is served under its number, also a copy of another version.

    Reference: TF Serving, tensorflow_serving/sources/storage_path/file_system_storage_path_source.cc
    (`ParseVersionNumber`, `IndexChildrenByVersion`).
    """
    if not base_path.is_dir():
        return {}
    found = [
        (int(child.name), child)
        for child in sorted(base_path.iterdir())
        if _DIGITS.fullmatch(child.name) and int(child.name) <= _LAST and child.is_dir()
    ]
    return dict(sorted(found))
