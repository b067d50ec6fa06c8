"""Error messages for declarations: pydantic's errors, worded in the terms of the YAML file.

Locations of pydantic name union members as well as keys; here they become keys and indices as in the file.
"""

import re
import types
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from unified_ranker.config.kinds import OneOf, annotation_of
from unified_ranker.core.errors import listed, nearest

MAX_RECEIVED = 100
"""Characters of a received value that an error repeats."""

Keys = tuple[str, ...]
# Kinds of value: pydantic's word and ours.
NOT_A_MAPPING = frozenset({"model_type", "model_attributes_type", "dict_type"})
NOT_A_LIST = frozenset({"tuple_type", "list_type"})
NOT_A_SWITCH = frozenset({"bool_type", "bool_parsing"})


@dataclass(frozen=True)
class SettingOrigin:
    """Origin of values: the file, its path in the tree, and the model that checks it."""

    file: str
    path: Keys
    model: type[BaseModel]


@dataclass(frozen=True)
class _Location:
    """Location in a file: its keys and indices, and the annotation of the value there (None: no value is allowed)."""

    keys: Keys
    allowed: Any


def word_errors(source: SettingOrigin, error: ValidationError, assigned: Iterable[Keys]) -> list[str]:
    """Return one line for each mistake in a file.

    Args:
        source: the file.
        error: of the model's validation.
        assigned: paths in the whole configuration that `--set` gave a value, which its mistakes are reported with.

    Returns:
        Lines that name file and path, the rule, what was received, what is allowed, and the nearest known
        name.
    """
    locations: dict[Keys, list[tuple[_Location, ErrorDetails]]] = {}
    for detail in error.errors():
        if _follows_from_others(detail):
            continue
        location = _location(source.model, detail["loc"])
        locations.setdefault(location.keys, []).append((location, detail))
    assigned = list(assigned)
    return [_line(source, found, assigned) for found in locations.values()]


def _follows_from_others(detail: ErrorDetails) -> bool:
    """Tell whether a list is too short only because its items are wrong, which have errors of their own."""
    return detail["type"] == "too_short" and len(detail["input"]) >= detail["ctx"]["min_length"]


def shown_path(keys: Sequence[str]) -> str:
    """Return keys and indices as a path: `features[2].column`."""
    return re.sub(r"\.(\d+)(?=\.|$)", r"[\1]", ".".join(keys))


def received(value: object) -> str:
    """Return a value as an error repeats it: short, in one line."""
    text = repr(value)
    return text if len(text) <= MAX_RECEIVED else text[: MAX_RECEIVED - 1] + "…"


def _line(source: SettingOrigin, found: list[tuple[_Location, ErrorDetails]], assigned: list[Keys]) -> str:
    """Return the line about one location; several errors there are the alternatives of a union."""
    location, detail = found[0]
    full = source.path + location.keys
    # The `--set` of the location or of what encloses it, the nearest first; else the `--set` of a part of the location.
    around = max((p for p in assigned if p == full[: len(p)]), key=len, default=None)
    below = {p for p in assigned if full == p[: len(full)]}
    was_set = around or (below.pop() if len(below) == 1 else None)
    at = f"`{source.file}`" if was_set is None else f"`--set {'.'.join(was_set)}`"
    if location.keys and full != was_set:
        at += f", `{shown_path(location.keys)}`"
    if len(found) > 1:
        rule = ", or ".join(_rule(d) for _, d in found)
        return f"{at}: {rule}. Received: {received(detail['input'])}."
    return f"{at}: {_sentence(location, detail)}"


def _sentence(location: _Location, detail: ErrorDetails) -> str:
    kind, found = detail["type"], detail["input"]
    if kind == "missing":
        return "this key is required and absent. Add it."
    if kind == "extra_forbidden":
        known = [name for model in _models(location.allowed) for name in model.model_fields]
        key = location.keys[-1]
        return f"this key is not known. Allowed: {listed(known)}.{nearest(key, known)}"
    tags = _tags(location.allowed)
    if tags and kind in {*NOT_A_MAPPING, "union_tag_not_found", "union_tag_invalid"}:
        tag = found.get("type") if isinstance(found, dict) else found
        said = received(tag if kind == "union_tag_invalid" else found)
        hint = f" Write `{{type: {tag}}}`." if tag in tags else nearest(str(tag), tags)
        return f"needs `type`, one of {listed(tags)}. Received: {said}.{hint}"
    if kind == "literal_error":
        close = nearest(str(found), [str(value) for value in get_args(_plain(location.allowed))])
        return f"{_rule(detail)}. Received: {received(found)}.{close}"
    rule = _rule(detail)
    return f"{rule}." if "Received: " in rule else f"{rule}. Received: {received(found)}."


def _rule(detail: ErrorDetails) -> str:
    """Return the rule that a value broke."""
    if detail["type"] in NOT_A_MAPPING:
        return "must hold keys and values"
    if detail["type"] in NOT_A_LIST:
        return "must be a list"
    if detail["type"] in NOT_A_SWITCH:
        return "must be `true` or `false`"
    message = detail["msg"].removeprefix("Value error, ").rstrip(".")
    return re.sub(r"^(Input|String|Tuple|Value|Keys) should", "must", message)


def _location(model: type[BaseModel], loc: tuple[int | str, ...]) -> _Location:
    """Follow pydantic's location through the annotations, leaving out the steps that choose a union's member.

    For an unknown key, `allowed` is the model that does not know it.
    """
    keys: list[str] = []
    node: Any = model
    for step in loc:
        node = _plain(node)
        tagged = _tagged(node)
        if step == "[key]":
            break
        if isinstance(node, OneOf) or len(tagged) > 1:
            node = tagged.get(str(step))
        elif isinstance(node, type) and issubclass(node, BaseModel):
            keys.append(str(step))
            field = node.model_fields.get(str(step))
            node = node if field is None else annotation_of(field)
        elif get_origin(node) in (tuple, list):
            keys.append(str(step))
            node = get_args(node)[0]
        elif get_origin(node) is dict:
            keys.append(str(step))
            node = get_args(node)[1]
        # Otherwise a union of plain values: the step names one of its members and is no key.
    return _Location(tuple(keys), node)


def _plain(node: Any) -> Any:
    """Return an annotation without `Annotated` and without `None` in a union, which hold no keys.

    For an annotation marked with `OneOf`, return the mark.
    """
    if get_origin(node) is Annotated:
        inner, *marks = get_args(node)
        return next((mark for mark in marks if isinstance(mark, OneOf)), _plain(inner))
    if get_origin(node) in (Union, types.UnionType):
        members = [a for a in get_args(node) if a is not type(None)]
        return _plain(members[0]) if len(members) == 1 else node
    return node


def _models(node: Any) -> list[type[BaseModel]]:
    """Return the model that an annotation is, or the models that it is a union of."""
    node = _plain(node)
    if isinstance(node, OneOf):
        return [kind for _, kind in node.registry.items()]
    if isinstance(node, type) and issubclass(node, BaseModel):
        return [node]
    if get_origin(node) in (Union, types.UnionType):
        return [m for a in get_args(node) for m in _models(a)]
    return []


def _tagged(node: Any) -> dict[str, type[BaseModel]]:
    """Return the members of a union that `type` chooses from, by their tag."""
    members = {}
    for model in _models(node):
        tag = model.model_fields.get("type")
        if tag is not None and get_origin(tag.annotation) is Literal:
            members[str(get_args(tag.annotation)[0])] = model
    return members


def _tags(node: Any) -> list[str]:
    tagged = _tagged(node)
    return list(tagged) if isinstance(_plain(node), OneOf) or len(tagged) > 1 else []
