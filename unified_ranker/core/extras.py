"""Extras of the installation: checks that their packages are there, and the command that installs them.

A remedy names the packages themselves: the project is on no package index, so `unified_ranker[dask]` could not be
installed by name.
"""

import importlib.util
from importlib import metadata
from types import ModuleType

from unified_ranker.core.errors import UserError

_DISTRIBUTION = "unified_ranker"
_MODULES = {
    "dask": ("distributed",),
    "delta": ("deltalake",),
    "redis": ("redis",),
    "sql": ("adbc_driver_manager", "adbc_driver_postgresql"),
    "text": ("tensorflow_text", "safetensors"),
    "traces": ("opentelemetry.sdk", "opentelemetry.exporter.otlp.proto.http"),
}
"""The modules that code imports for each extra of setup.cfg."""

HASHED_INSTEAD = "or set `text: {type: hashed}` in towers/item.yaml"


def is_installed(module: str) -> bool:
    """Tell whether a module could be imported, without importing it."""
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # its parent is not there
        return False


def missing_modules(extra: str) -> list[str]:
    """Return the modules of an extra that are not installed; none of them is imported."""
    return [name for name in _MODULES[extra] if not is_installed(name)]


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra, with the versions that setup.cfg allows."""
    try:
        lines = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        # The source is on the path and the project is not installed: there is no metadata to read versions from.
        return f"install the packages that setup.cfg lists under `{extra}`"
    wanted = [line.partition(";")[0].strip() for line in lines if f'extra == "{extra}"' in line]
    return "pip install " + " ".join(f"'{requirement}'" for requirement in wanted)


def require_extra(extra: str, what: str, otherwise: str = "") -> None:
    """Make sure that the packages of an extra are installed.

    Args:
        extra: its name in setup.cfg.
        what: what needs it, as the subject of a sentence.
        otherwise: what else a user can do, as the end of the remedy.

    Raises:
        UserError: one of them is not installed.
    """
    missing = missing_modules(extra)
    if missing:
        remedy = ", ".join(part for part in (install_command(extra), otherwise) if part)
        raise UserError(f"{what} needs packages that are not installed: {', '.join(missing)}. Remedy: {remedy}.")


def text_ops() -> ModuleType:
    """Return TensorFlow Text, whose import registers its tokenizers; only models that hold them need it.

    Raises:
        UserError: its packages are not installed.
    """
    require_extra("text", "a text encoder of type `distilled` or `transformer`", HASHED_INSTEAD)
    import tensorflow_text

    return tensorflow_text
