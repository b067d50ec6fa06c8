"""Python reference, made from the docstrings of the public modules; nothing is imported, so that no TensorFlow is."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from page_text import prose

ROOT = Path(__file__).parents[2]

PUBLIC: dict[str, tuple[str, ...]] = {
    "unified_ranker": ("Project", "Recommender"),
    "unified_ranker.serving.answering.recommending": ("Answer", "Answered"),
    "unified_ranker.evaluation.results": ("Evaluation",),
    "unified_ranker.store": (),
    "unified_ranker.store.delta": ("DeltaCopy",),
    "unified_ranker.store.feast_push": ("push",),
    "unified_ranker.export.tower": ("SavedTower",),
}
"""Public modules, and their public names; a module without names has them in `__all__`."""

_INTRODUCTION = """
# Python

What other programs may import. Everything else may change from release to release.
"""


@dataclass(frozen=True)
class Found:
    """A public name and its definition."""

    module: str
    name: str
    node: ast.ClassDef | ast.FunctionDef


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION.strip()]
    for module in PUBLIC:
        parts.append(f"## {module}\n\n{prose(ast.get_docstring(_tree(module)))}")
        parts += [_section(found) for found in definitions(module)]
    return "\n\n".join(parts) + "\n"


def definitions(module: str) -> Iterator[Found]:
    """Yield the public names of a module with their definitions, wherever they are imported from."""
    names = PUBLIC[module] or tuple(_exported(module))
    for name in names:
        node = find(module, name)
        if isinstance(node, ast.ClassDef | ast.FunctionDef):
            yield Found(module, name, node)


def find(module: str, name: str) -> ast.stmt | None:
    """Return the definition of a name of a module; None where there is none, or it is a module itself."""
    for node in ast.walk(_tree(module)):
        if isinstance(node, ast.ImportFrom) and node.module and any((a.asname or a.name) == name for a in node.names):
            inner = next(a.name for a in node.names if (a.asname or a.name) == name)
            return find(node.module, inner) if node.module.startswith("unified_ranker") else node
    # What stands there for the type checker alone is there, too.
    body = [inner for node in _tree(module).body for inner in (node.body if isinstance(node, ast.If) else [node])]
    for node in body:
        if isinstance(node, ast.Import) and any((a.asname or a.name) == name for a in node.names):
            return node
        targets = (
            [node.target] if isinstance(node, ast.AnnAssign) else node.targets if isinstance(node, ast.Assign) else []
        )
        if getattr(node, "name", None) == name or any(isinstance(t, ast.Name) and t.id == name for t in targets):
            return node
    return None


def file_of(module: str) -> Path:
    """Return the file of a module of this repository."""
    path = ROOT.joinpath(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(module: str) -> ast.Module:
    return ast.parse(file_of(module).read_text(encoding="utf-8"))


def _exported(module: str) -> list[str]:
    for node in _tree(module).body:
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "__all__" for t in node.targets):
            return list(ast.literal_eval(node.value))
    return []


def _section(found: Found) -> str:
    node = found.node
    title = f"### {found.name} {{ #{found.module}.{found.name} }}"
    if isinstance(node, ast.FunctionDef):
        return f"{title}\n\n{_code(_signature(node))}\n\n{prose(ast.get_docstring(node))}"
    made = next((m for m in node.body if isinstance(m, ast.FunctionDef) and m.name == "__init__"), None)
    signature = _signature(made, node.name) if made is not None else _fields(node)
    parts = [title, _code(signature), prose(ast.get_docstring(node))]
    if made is not None:
        parts.append(prose(ast.get_docstring(made)))
    for method in node.body:
        if isinstance(method, ast.FunctionDef) and not method.name.startswith("_"):
            is_property = any("property" in ast.unparse(d) for d in method.decorator_list)
            line = (
                f"{method.name}: {ast.unparse(method.returns)}"
                if is_property and method.returns
                else _signature(method)
            )
            parts.append(f"#### {found.name}.{method.name} {{ #{found.module}.{found.name}.{method.name} }}")
            parts += [_code(line), prose(ast.get_docstring(method))]
    return "\n\n".join(part for part in parts if part)


def _fields(node: ast.ClassDef) -> str:
    """Return how a dataclass is made; other classes by their name alone."""
    if not any("dataclass" in ast.unparse(decorator) for decorator in node.decorator_list):
        return f"class {node.name}"
    return f"{node.name}({', '.join(ast.unparse(field) for field in node.body if isinstance(field, ast.AnnAssign))})"


def _code(line: str) -> str:
    return f"```text\n{line}\n```"


def _signature(node: ast.FunctionDef, name: str = "") -> str:
    """Return a call in one line, without `self`."""
    given = ast.parse(ast.unparse(node)).body[0]
    assert isinstance(given, ast.FunctionDef)
    if given.args.args and given.args.args[0].arg in ("self", "cls"):
        given.args.args.pop(0)
    returns = "" if name or node.returns is None else f" -> {ast.unparse(node.returns)}"
    return f"{name or node.name}({ast.unparse(given.args)}){returns}"
