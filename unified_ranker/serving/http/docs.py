"""Page at /docs: the operations of an OpenAPI document, in HTML without external parts."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from unified_ranker.evaluation.html_pages import render

_LIMITS = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern")
Schema = dict[str, Any]


@dataclass(frozen=True)
class DocumentedField:
    """A field of a body: its path, its type in words, its description."""

    name: str
    type: str
    description: str


@dataclass(frozen=True)
class DocumentedAnswer:
    """An answer of an operation, with the fields of its body."""

    status: str
    description: str
    fields: list[DocumentedField]


@dataclass(frozen=True)
class DocumentedOperation:
    """An operation: how it is called, with examples as JSON, and what it answers."""

    method: str
    url: str
    description: str
    takes_body: bool
    request: list[DocumentedField]
    examples: list[str]
    answers: list[DocumentedAnswer]


def docs_page(document: dict[str, Any], base_url: str) -> str:
    """Return the page for the OpenAPI document of a service at `base_url`."""
    return render(
        __package__,
        "docs.html",
        title=document["info"]["title"],
        description=document["info"].get("description", ""),
        operations=[
            _operation(document, base_url.rstrip("/") + path, method, operation)
            for path, methods in document["paths"].items()
            for method, operation in methods.items()
        ],
    )


def _operation(document: dict[str, Any], url: str, method: str, operation: dict[str, Any]) -> DocumentedOperation:
    body = operation.get("requestBody")
    schema = body["content"]["application/json"]["schema"] if body else {}
    given = {
        status: answer.get("content", {}).get("application/json", {}).get("schema", {})
        for status, answer in operation["responses"].items()
    }
    return DocumentedOperation(
        method=method.upper(),
        url=url,
        description=operation.get("description", ""),
        takes_body=bool(body),
        request=list(_fields(document, schema)),
        examples=[json.dumps(example) for example in _resolve(document, schema).get("examples", [])],
        answers=[
            DocumentedAnswer(status, answer["description"], list(_fields(document, given[status])))
            for status, answer in operation["responses"].items()
        ],
    )


def _fields(document: dict[str, Any], schema: Schema, prefix: str = "") -> Iterator[DocumentedField]:
    resolved = _resolve(document, schema)
    for name, field in resolved.get("properties", {}).items():
        needed = ", required" if name in resolved.get("required", ()) else ""
        yield DocumentedField(prefix + name, _type(document, field) + needed, field.get("description", ""))
        for inner in (field, *field.get("anyOf", ())):
            if inner.get("type") == "array":
                yield from _fields(document, inner["items"], f"{prefix}{name}[].")


def _type(document: dict[str, Any], field: Schema) -> str:
    """Return a schema in words, such as "string, maxLength 256, or null"."""
    if "anyOf" in field:
        return " or ".join(_type(document, option) for option in field["anyOf"])
    resolved = _resolve(document, field)
    kind = str(resolved.get("format", resolved.get("type", "any")))
    return ", ".join([kind, *(f"{limit} {resolved[limit]}" for limit in _LIMITS if limit in resolved)])


def _resolve(document: dict[str, Any], schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
