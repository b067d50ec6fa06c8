"""Extensions: modules that register implementations, as files of a directory or installed.

The directory is that of project.yaml, or of the files that a release carries. A process may open several of them whose
modules have the same names: the code of the one that was opened last is then the one that is registered.
"""

import ast
import contextlib
import importlib
import importlib.util
import sys
import weakref
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import ModuleType

from unified_ranker.core.digests import sha256
from unified_ranker.core.errors import UserError
from unified_ranker.core.registry import forget_registered

_ENGINE = __name__.partition(".")[0]
_digests: "weakref.WeakKeyDictionary[ModuleType, str]" = weakref.WeakKeyDictionary()
"""SHA-256 of the source of each module that came from a directory of extensions, when it was imported."""


class MissingExtensionError(UserError):
    """Error: an extension, or a module that it imports, is not there.

    Attributes:
        extension: the module that was asked for.
        missing: the module that is not there; often the same.
        looked: where it was looked for, in words.
    """

    def __init__(self, extension: str, missing: str, looked: str) -> None:
        """Word the error as one about `extensions` in project.yaml."""
        self.extension, self.missing, self.looked = extension, missing, looked
        super().__init__(
            f"must be modules that can be imported. Received: `{extension}`: there is no module `{missing}` {looked}. "
            "Install it, or put its file beside project.yaml."
        )


def load_extensions(modules: Iterable[str], directory: Path | None = None) -> None:
    """Import modules, which register their implementations.

    Files of `directory` come first, then PYTHONPATH and installed packages, then the current directory. A module that
    was imported before, from a file with another text, is forgotten and imported again.

    Args:
        modules: their names.
        directory: of project.yaml, or of the files that a release carries; None: the modules are elsewhere.

    Raises:
        MissingExtensionError: one cannot be imported.
    """
    names = tuple(modules)
    folder = None if directory is None else directory.resolve()
    texts = {} if folder is None else _modules_of(extension_files(names, folder))
    _forget_other_texts(texts)
    with _searched_first(folder):
        for name in names:
            try:
                if importlib.util.find_spec(name) is None:
                    _search(Path.cwd())
                importlib.import_module(name)
            except ModuleNotFoundError as error:
                raise MissingExtensionError(name, error.name or name, _looked(folder)) from error
    _digests.update({sys.modules[name]: text for name, text in texts.items() if name in sys.modules})


def extension_files(modules: Iterable[str], directory: Path) -> dict[str, Path]:
    """Return the files that modules consist of in a directory, by their paths relative to it, sorted.

    These are the module's own file, or all files of its package, and those of the modules in the directory that they
    import. Modules that are not there are left out: they are installed.
    """
    found: dict[str, Path] = {}
    seen, left = {_ENGINE}, [name.partition(".")[0] for name in modules]
    while left:
        name = left.pop()
        if name in seen:
            continue
        seen.add(name)
        for file in _files_of(name, directory):
            found[file.relative_to(directory).as_posix()] = file
            left += _imported_by(file)
    return dict(sorted(found.items()))


def _files_of(name: str, directory: Path) -> list[Path]:
    """Return the files of a top-level module: with an `__init__.py` all of the package, else its Python files."""
    package, module = directory / name, directory / f"{name}.py"
    if (package / "__init__.py").is_file():
        return [file for file in package.rglob("*") if file.is_file() and "__pycache__" not in file.parts]
    return [module] if module.is_file() else list(package.rglob("*.py"))


def _imported_by(file: Path) -> set[str]:
    """Return the top-level names that a file imports; none where it is no Python, which its import will say."""
    if file.suffix != ".py":
        return set()
    try:
        nodes = list(ast.walk(ast.parse(file.read_bytes())))
    except (SyntaxError, ValueError):
        return set()
    whole = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    parts = {node.module for node in nodes if isinstance(node, ast.ImportFrom) and node.module and not node.level}
    return {name.partition(".")[0] for name in whole | parts}


def _modules_of(files: dict[str, Path]) -> dict[str, str]:
    """Return the SHA-256 of each Python file, by the name of its module."""
    texts = {}
    for relative, file in files.items():
        if file.suffix == ".py":
            texts[relative.removesuffix(".py").removesuffix("/__init__").replace("/", ".")] = sha256(file)
    return texts


def _forget_other_texts(texts: dict[str, str]) -> None:
    """Forget the modules of these names, and what they registered, if one was imported from another text.

    All of them, because those that did not change hold objects of those that did.
    """
    known = {name: sys.modules[name] for name in texts if name in sys.modules}
    if all(_text_of(module) == texts[name] for name, module in known.items()):
        return
    for name in known:
        del sys.modules[name]
    forget_registered(known)


def _text_of(module: ModuleType) -> str | None:
    """Return the SHA-256 of an imported module's source; None where it is not known."""
    if module in _digests:
        return _digests[module]
    file = getattr(module, "__file__", None)
    return sha256(Path(file)) if file and Path(file).is_file() else None


@contextlib.contextmanager
def _searched_first(folder: Path | None) -> Iterator[None]:
    """Put a directory at the head of the module search path; afterwards at its end, for imports inside functions."""
    if folder is None:
        yield
        return
    importlib.invalidate_caches()
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        sys.path.remove(str(folder))
        _search(folder)


def _search(directory: Path) -> None:
    """Append a directory to the module search path."""
    folder = str(directory.resolve())
    if folder not in sys.path:
        sys.path.append(folder)


def _looked(folder: Path | None) -> str:
    """Say where modules were looked for."""
    first = "" if folder is None else f"in `{folder}`, "
    return f"{first}on PYTHONPATH, among the installed packages or in the current directory `{Path.cwd()}`"
