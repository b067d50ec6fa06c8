"""Reference of the extension points, found in the code: each registry, its contract and what is registered in it."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page_text import prose, table
from python_api import ROOT

PACKAGE = ROOT / "unified_ranker"
_REGISTRIES = ("Kinds", "Registry")

_INTRODUCTION = """
# Extension points

Each extension point has a contract, which is a base class in one file, and a registry beside it. An implementation is a
class in a file of its own with one line of registration. [Extend it](../guide/extending.md#with-code) says how to bring
yours.
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
    parts, told = [_INTRODUCTION.strip()], set()
    for point in points():
        title = point.word[:1].upper() + point.word[1:]
        contract = "" if point.contract is None else f" Contract: `{point.contract.name}` in `{_short(point.file)}`."
        parts.append(f"## {title}\n\n{point.text}{contract} Registry: `{point.name}`.")
        if point.contract is not None and (point.file, point.contract.name) not in told:
            told.add((point.file, point.contract.name))
            parts += [prose(ast.get_docstring(point.contract)), _methods(point.contract)]
        rows = [(f"`{name}`", f"`{_short(file)}`", summary) for name, file, summary in implementations(point)]
        parts.append(table(("registered", "file", "is"), rows))
    return "\n\n".join(part for part in parts if part) + "\n"


def _methods(contract: ast.ClassDef) -> str:
    """Return the methods of a contract that an implementation must or may define."""
    rows = []
    for method in contract.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("__"):
            marks = {ast.unparse(mark) for mark in method.decorator_list}
            if "abstractmethod" in marks or not method.name.startswith("_"):
                needed = "must" if "abstractmethod" in marks else "may"
                rows.append((f"`{method.name}`", needed, (ast.get_docstring(method) or "").split("\n\n")[0]))
    return table(("method", "define", "does"), rows)


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
    for file in sorted(PACKAGE.rglob("*.py")):
        for node in ast.parse(file.read_text(encoding="utf-8")).body:
            for decorator in getattr(node, "decorator_list", ()):
                if ast.unparse(decorator).startswith(f"{point.name}."):
                    assert isinstance(node, ast.ClassDef | ast.FunctionDef)
                    summary = (ast.get_docstring(node) or "").split("\n\n")[0]
                    yield _name(node, decorator), file, summary


def _name(node: ast.ClassDef | ast.FunctionDef, decorator: ast.expr) -> str:
    """Return the name in YAML: given to the decorator, or by the class's field `type` or `name`."""
    if isinstance(decorator, ast.Call):
        return str(ast.literal_eval(decorator.args[0]))
    for field in node.body:
        if isinstance(field, ast.AnnAssign) and ast.unparse(field.target) == "type":
            return str(ast.literal_eval(field.annotation.slice))  # type: ignore[attr-defined]  # Literal["name"]
        if isinstance(field, ast.Assign) and ast.unparse(field.targets[0]) == "name":
            return str(ast.literal_eval(field.value))
    return node.name


def _short(file: Path) -> str:
    return str(file.relative_to(PACKAGE))
