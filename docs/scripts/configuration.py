"""Configuration reference, made from the models in `unified_ranker.config`: their limits, defaults and docstrings."""

import ast
import inspect
import textwrap
from typing import Any

import yaml
from page_text import prose, table
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from unified_ranker.config import ProjectFile, Task
from unified_ranker.config.kinds import OneOf, annotation_of
from unified_ranker.config.yaml_files import FOLDERS, section_model


def files() -> dict[str, type[BaseModel]]:
    """Return the model of each file of a project."""
    found: dict[str, type[BaseModel]] = {"project.yaml": ProjectFile}
    for folder, model in FOLDERS.items():
        found |= {f"{folder}/{name}.yaml": kind for name in model.model_fields if (kind := section_model(folder, name))}
        if folder == "towers":
            found["tasks/NAME.yaml"] = Task
    return found


_INTRODUCTION = """
# Configuration

Every setting of a project, file by file, with its default. An unknown key, a wrong type or a value out of range is an
error that names the file, the path, what is allowed and the nearest match.

`--set` changes a setting for one run. Its path begins with the file: `project.training.epochs=3`,
`towers.item.dim=128`, `tasks.search.weight=0.5`, `export.embeddings.store.place=vectors`. `--set @FILE` reads one
setting a line.
"""
"""What stands above the sections."""


def page() -> str:
    """Return the page."""
    parts = [_INTRODUCTION.strip()]
    for file, model in files().items():
        parts.append(_file(file, model))
    return "\n\n".join(parts) + "\n"


def _file(file: str, model: type[BaseModel]) -> str:
    """Return the section of one file: its settings, then those of each block in it, once."""
    text = prose(model.__doc__).split(": ", 1)[-1]
    parts = [f"## {file}", text[:1].upper() + text[1:], _settings(model, file, "")]
    done: set[type[BaseModel]] = {model}
    waiting = _blocks(model, "")
    while waiting:
        path, block = waiting.pop(0)
        if block in done:
            continue
        done.add(block)
        kind = block.model_fields.get("type")
        title = f"`{path}`" if kind is None else f"`{path}`, type `{_literal(kind.annotation)}`"
        parts.append(f"### {title} {{ #{anchor(file, block)} }}\n\n{prose(block.__doc__)}")
        settings = _settings(block, file, path)
        if settings:
            parts.append(settings)
        waiting = _blocks(block, path) + waiting
    return "\n\n".join(parts)


def anchor(file: str, block: type[BaseModel]) -> str:
    """Return the anchor of a block in the section of a file."""
    return f"{file.rsplit('.', 1)[0].replace('/', '-').lower()}-{block.__name__.lower()}"


def _settings(model: type[BaseModel], file: str, path: str) -> str:
    schema = model.model_json_schema()
    blocks = {block.__name__: block for _, block in _blocks(model, path)}
    texts = field_texts(model)
    rows = [
        (f"`{name}`", _values(schema["properties"][name], blocks, file), _default(field), texts.get(name, ""))
        for name, field in model.model_fields.items()
        if not (name == "type" and len(_choices(field.annotation)) == 1)
    ]
    return table(("setting", "values", "default", "meaning"), rows)


def field_texts(model: type[BaseModel]) -> dict[str, str]:
    """Return the docstring below each field of a model and of its bases."""
    found: dict[str, str] = {}
    for owner in reversed(
        [c for c in model.__mro__ if issubclass(c, BaseModel) and c.__module__.startswith("unified_ranker.")]
    ):
        body = ast.parse(textwrap.dedent(inspect.getsource(owner))).body[0]
        assert isinstance(body, ast.ClassDef)
        for field, text in zip(body.body, body.body[1:], strict=False):
            if isinstance(field, ast.AnnAssign) and isinstance(field.target, ast.Name) and isinstance(text, ast.Expr):
                found[field.target.id] = " ".join(str(ast.literal_eval(text.value)).split())
    return found


def _blocks(model: type[BaseModel], path: str) -> list[tuple[str, type[BaseModel]]]:
    """Return the models that the fields of a model hold, with their paths."""
    return [
        (f"{path}.{name}" if path else name, block)
        for name, field in model.model_fields.items()
        for block in _models_in(annotation_of(field))
    ]


def _models_in(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, OneOf):
        return [kind for _, kind in annotation.registry.items()]
    # Where `Annotated[Any, OneOf(…)]` is within a list, its marks are what says which models there may be.
    for mark in getattr(annotation, "__metadata__", ()):
        if isinstance(mark, OneOf):
            return _models_in(mark)
    if inspect.isclass(annotation) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for inner in getattr(annotation, "__args__", ()) for model in _models_in(inner)]


def _choices(annotation: Any) -> tuple[Any, ...]:
    return getattr(annotation, "__args__", ()) if getattr(annotation, "__origin__", None) is not None else ()


def _literal(annotation: Any) -> str:
    return str(annotation.__args__[0])


def _values(schema: dict[str, Any], blocks: dict[str, type[BaseModel]], file: str) -> str:
    """Return what a setting may be, in words."""
    # A kind that is registered stands there whole, under the name of its model.
    name = schema["$ref"].rsplit("/", 1)[1] if "$ref" in schema else schema.get("title")
    if name in blocks:
        block = blocks[name]
        kind = block.model_fields.get("type")
        return f"[{'block' if kind is None else _literal(kind.annotation)}](#{anchor(file, block)})"
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    for key in ("anyOf", "oneOf"):
        if key in schema:
            return " or ".join(dict.fromkeys(_values(option, blocks, file) for option in schema[key]))
    kind = schema.get("type")
    if kind == "array":
        items = schema.get("items", {})
        least = f", at least {schema['minItems']}" if schema.get("minItems") else ""
        return f"list of {_values(items, blocks, file)}{least}"
    if kind == "object":
        return f"name: {_values(schema['additionalProperties'], blocks, file)}, …"
    words = {
        "integer": "whole number",
        "number": "number",
        "boolean": "`true`, `false`",
        "string": "text",
        "null": "null",
    }
    if schema.get("format") == "path":
        return "path"
    pattern = f" that matches `{schema['pattern']}`" if "pattern" in schema else ""
    return words[str(kind)] + pattern + _limits(schema)


def _limits(schema: dict[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    limits = [f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema]
    return f", {' and '.join(limits)}" if limits else ""


def _default(field: Any) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True)
    if value is PydanticUndefined:
        return "required"
    if isinstance(value, BaseModel):
        kind = getattr(value, "type", None)
        return f"`{{type: {kind}}}`" if kind else "its own"
    plain = yaml.safe_dump(_plain(value), default_flow_style=True, width=10_000).removesuffix("...\n").strip()
    return f"`{plain or chr(39) * 2}`"


def _plain(value: Any) -> Any:
    if isinstance(value, tuple | list):
        return [_plain(inner) for inner in value]
    if isinstance(value, dict):
        return {key: _plain(inner) for key, inner in value.items()}
    return value if isinstance(value, str | int | float | bool | None) else str(value)
