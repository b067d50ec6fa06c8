"""Reference of the extension points, found in the code: each registry, its contract and what is registered in it."""

import ast
import importlib
import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

from page_text import prose, table
from python_api import ROOT

PACKAGE = ROOT / "unified_ranker"
_REGISTRIES = ("Kinds", "Registry")

_INTRODUCTION = """
# Extension points

Each extension point has a contract, which is a base class in one file, and a registry beside it. An implementation is a
class, or a function that opens one by its address, with one line of registration. The tables below name its file.
[Extend it](../guide/extending.md#with-code) says how to bring yours.
"""


@dataclass(frozen=True)
class Point:
    """A registry: its word in messages, its name, its file, what is said below it and the contract beside it."""

    word: str
    name: str
    file: Path
    text: str
    contract: ast.ClassDef | None


def page() -> str:
    """Return the page."""
    parts, described = [_INTRODUCTION.strip()], set()
    for point in points():
        title = point.word[:1].upper() + point.word[1:]
        contract = "" if point.contract is None else f" Contract: `{point.contract.name}` in `{_short(point.file)}`."
        parts.append(f"## {title}\n\n{' '.join(point.text.split())}{contract} Registry: `{point.name}`.")
        if point.contract is not None and (point.file, point.contract.name) not in described:
            described.add((point.file, point.contract.name))
            contract_class = getattr(module_of(point.file), point.contract.name)
            parts += [prose(ast.get_docstring(point.contract)), _methods(contract_class)]
        rows = [(f"`{name}`", f"`{_short(file)}`", summary) for name, file, summary in implementations(point)]
        parts.append(table(("registered", "file", "is"), rows))
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods(contract: type) -> str:
    """Return the methods of a contract that an implementation must or may define; those of its bases come first."""
    rows = {}
    for owner in reversed(contract.__mro__):
        if not owner.__module__.startswith("unified_ranker.") or owner.__module__.startswith("unified_ranker.config."):
            continue
        for name, method in vars(owner).items():
            abstract = getattr(method, "__isabstractmethod__", False)
            found = inspect.unwrap(getattr(method, "__func__", getattr(method, "fget", method)))
            if not inspect.isfunction(found) or name.startswith("__") or (name.startswith("_") and not abstract):
                continue
            needed = "must" if abstract or getattr(owner, "_is_protocol", False) else "may"
            rows[name] = (f"`{name}`", needed, _first_line(found))
    return table(("method", "define", "does"), list(rows.values()))


def _first_line(thing: object) -> str:
    return " ".join((inspect.getdoc(thing) or "").split("\n\n")[0].split())


def points() -> list[Point]:
    """Return every registry of the package, by its word."""
    found = []
    for file in sorted(PACKAGE.rglob("*.py")):
        body = ast.parse(file.read_text(encoding="utf-8")).body
        for node, after in zip(body, [*body[1:], None], strict=True):
            call = node.value if isinstance(node, ast.Assign | ast.AnnAssign) else None
            if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id in _REGISTRIES:
                target = node.target if isinstance(node, ast.AnnAssign) else node.targets[0]  # type: ignore[union-attr]
                text = ast.literal_eval(after.value) if isinstance(after, ast.Expr) else ""
                contract = _named_in(node, body)
                found.append(Point(ast.literal_eval(call.args[0]), ast.unparse(target), file, text, contract))
    return sorted(found, key=lambda point: point.word)


def _named_in(node: ast.stmt, body: list[ast.stmt]) -> ast.ClassDef | None:
    """Return the class of this file that the registry's annotation names."""
    names = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
    return next((c for c in body if isinstance(c, ast.ClassDef) and c.name in names), None)


def implementations(point: Point) -> Iterator[tuple[str, Path, str]]:
    """Yield what the package registers at a point: its name, its file and the first line of its docstring."""
    for name, kind in getattr(module_of(point.file), point.name).items():
        yield name, Path(inspect.getfile(kind)), _first_line(kind)


def module_of(file: Path) -> ModuleType:
    """Return the module of a file of the package, with what its package registers."""
    return importlib.import_module(".".join(file.relative_to(ROOT).with_suffix("").parts))


def _short(file: Path) -> str:
    return str(file.relative_to(PACKAGE))
