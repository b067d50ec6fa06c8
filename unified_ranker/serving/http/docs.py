"""The page at /docs: the operations of an OpenAPI document, in HTML that loads nothing from anywhere."""

import json
from html import escape
from typing import Any

_STYLE = """
:root { color-scheme: light dark }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h2 { margin-top: 2.5rem }
code, pre { font: 14px/1.4 ui-monospace, monospace }
pre { overflow-x: auto; padding: .8rem; border: 1px solid }
div { overflow-x: auto }
table { border-collapse: collapse }
td { text-align: left; vertical-align: top; padding: .2rem 1rem .2rem 0 }
"""

Schema = dict[str, Any]


def docs_page(document: dict[str, Any], base_url: str) -> str:
    """Return the page for the OpenAPI document of a service at `base_url`."""
    title = escape(document["info"]["title"])
    operations = [
        _operation(document, base_url.rstrip("/") + path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    return (
        f'<!doctype html><html lang="en"><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width, initial-scale=1"><title>{title}</title>'
        f"<style>{_STYLE}</style><h1>{title}</h1><p>{escape(document['info'].get('description', ''))}</p>"
        f'<p>For programs: <a href="openapi.json">openapi.json</a>.</p>{"".join(operations)}</html>'
    )


def _operation(document: dict[str, Any], url: str, method: str, operation: dict[str, Any]) -> str:
    parts = [f"<h2><code>{method.upper()} {escape(url)}</code></h2><p>{escape(operation.get('description', ''))}</p>"]
    body = operation.get("requestBody")
    if body:
        schema = body["content"]["application/json"]["schema"]
        parts.append(f"<h3>Request</h3>{_fields(document, schema)}")
        for example in _resolve(document, schema).get("examples", []):
            parts.append(f"<pre>{escape(_curl(url, example))}</pre>")
    for status, response in operation["responses"].items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        parts.append(f"<h3>{status} {escape(response['description'])}</h3>{_fields(document, schema)}")
    return "".join(parts)


def _curl(url: str, example: object) -> str:
    return f"curl -s {url} -H 'Content-Type: application/json' \\\n  -d '{json.dumps(example)}'"


def _fields(document: dict[str, Any], schema: Schema) -> str:
    rows = _rows(document, schema, "")
    return f"<div><table>{''.join(rows)}</table></div>" if rows else ""


def _rows(document: dict[str, Any], schema: Schema, prefix: str) -> list[str]:
    resolved = _resolve(document, schema)
    rows = []
    for name, field in resolved.get("properties", {}).items():
        needed = ", required" if name in resolved.get("required", ()) else ""
        text = escape(_type(document, field) + needed)
        rows.append(f"<tr><td><code>{escape(prefix + name)}</code><td>{text}<td>{escape(field.get('description', ''))}")
        for inner in (field, *field.get("anyOf", ())):
            if inner.get("type") == "array":
                rows += _rows(document, inner["items"], f"{prefix}{name}[].")
    return rows


def _type(document: dict[str, Any], field: Schema) -> str:
    """Return a schema in words, such as "string, maxLength 256, or null"."""
    if "anyOf" in field:
        return " or ".join(_type(document, option) for option in field["anyOf"])
    resolved = _resolve(document, field)
    kind = str(resolved.get("format", resolved.get("type", "any")))
    limits = ("minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "pattern")
    return ", ".join([kind, *(f"{limit} {resolved[limit]}" for limit in limits if limit in resolved)])


def _resolve(document: dict[str, Any], schema: Schema) -> Schema:
    if "$ref" not in schema:
        return schema
    found: Any = document
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found
