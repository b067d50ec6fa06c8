"""HTTP reference, made from the service's OpenAPI document and its metrics."""

import json
from types import SimpleNamespace
from typing import Any, cast

from page_text import table

from unified_ranker.serving.http.api import RankingBackend, create_app
from unified_ranker.serving.http.security import role_needed
from unified_ranker.serving.service.service_metrics import ServiceMetrics

_INTRODUCTION = """
# HTTP

The ranking service speaks JSON. A running service has the same text at `/docs`, and the OpenAPI document at
`/openapi.json`.

With `--tokens`, a request needs a bearer token with the role that its operation names. Bodies have at most 1 MiB
and 50,000 values and names, histories 1,000 events, identifiers 480 bytes in UTF-8. Every answer has a request id; send
your own as `X-Request-Id` to find it again in logs and traces.
"""


def page() -> str:
    """Return the page."""
    metrics = ServiceMetrics()
    # Nothing is asked of these: the document is made from the routes alone.
    absent: Any = SimpleNamespace(metrics=metrics)
    document = create_app(RankingBackend(absent, store=absent, live=absent, releases=absent)).openapi()
    parts = [_INTRODUCTION.strip()]
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            parts.append(_operation(document, method.upper(), path, operation))
    parts.append("## Metrics\n\n`GET /metrics`, in Prometheus' form; the samples of a counter end in `_total`.")
    parts.append(
        table(("metric", "kind", "meaning"), [(f"`{m.name}`", m.type, m.documentation) for m in _own(metrics)])
    )
    return "\n\n".join(part for part in parts if part) + "\n"


def _own(metrics: ServiceMetrics) -> list[Any]:
    return [metric for metric in metrics.registry.collect() if metric.name.startswith("unified_ranker")]


def _operation(document: dict[str, Any], method: str, path: str, operation: dict[str, Any]) -> str:
    role = role_needed(method, path.replace("{item_id}", "x"))
    parts = [f"## {method} {path}", operation.get("description", ""), f"Role: {role or 'none'}."]
    rows = [
        (f"`{p['name']}`", _type(document, p["schema"]), p.get("description", p["schema"].get("description", "")))
        for p in operation.get("parameters", ())
    ]
    parts.append(table(("parameter", "type", "meaning"), rows))
    body = operation.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        parts.append(table(("field of the body", "type", "meaning"), _fields(document, schema, "", needed=True)))
        for example in _resolve(document, schema).get("examples", ())[:1]:
            parts.append(f"```json\n{json.dumps(example, indent=1, ensure_ascii=False)}\n```")
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if status == "200" and schema:
            parts.append(table(("field of the answer", "type", "meaning"), _fields(document, schema, "")))
    others = [
        f"{status} {response['description']}" for status, response in operation["responses"].items() if status != "200"
    ]
    if others:
        parts.append(f"Other answers: {'; '.join(others)}.")
    return "\n\n".join(part for part in parts if part)


def _fields(
    document: dict[str, Any], schema: dict[str, Any], prefix: str, *, needed: bool = False
) -> list[tuple[str, str, str]]:
    """Return the fields of an object and of the objects in its lists; `needed` says which must be given."""
    resolved = _resolve(document, schema)
    rows = []
    for name, field in resolved.get("properties", {}).items():
        must = ", required" if needed and name in resolved.get("required", ()) else ""
        rows.append((f"`{prefix}{name}`", _type(document, field) + must, field.get("description", "")))
        for inner in (field, *field.get("anyOf", ())):
            if inner.get("type") == "array":
                rows += _fields(document, inner["items"], f"{prefix}{name}[].", needed=needed)
    return rows


def _type(document: dict[str, Any], field: dict[str, Any]) -> str:
    if "anyOf" in field:
        return " or ".join(_type(document, option) for option in field["anyOf"])
    resolved = _resolve(document, field)
    if resolved.get("type") == "array":
        return f"list of {_type(document, resolved['items'])}s"
    if "enum" in resolved:
        return ", ".join(f"`{value}`" for value in resolved["enum"])
    kind = str(resolved.get("format", resolved.get("type", "any")))
    limits = {
        "minLength": "at least {} characters",
        "maxLength": "at most {} characters",
        "minimum": "≥ {}",
        "maximum": "≤ {}",
    }
    words = [text.format(f"{resolved[key]:.15g}") for key, text in limits.items() if key in resolved]
    return ", ".join([kind, *words])


def _resolve(document: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return cast(dict[str, Any], found)
