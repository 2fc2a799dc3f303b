"""The API in words: an OpenAPI description as one page of HTML that needs no other server."""

import html
import json
from typing import Any

_STYLE = """
:root { color-scheme: light dark; font-family: system-ui, sans-serif; line-height: 1.5 }
body { max-width: 60rem; margin: 0 auto; padding: 1rem } table { border-collapse: collapse; width: 100% }
td, th { text-align: left; vertical-align: top; padding: .3rem .6rem; border-bottom: 1px solid #8886 }
code, pre { font-family: ui-monospace, monospace; font-size: .9em } pre { overflow-x: auto; padding: .6rem;
background: #8882 } h2 code { padding: .1rem .4rem; background: #8883; border-radius: .3rem }
"""


def html_of(schema: dict[str, Any]) -> str:
    """The page of an OpenAPI 3.1 schema: each route with its parameters and answers."""
    parts = [f"<h1>{_text(schema['info']['title'])}</h1><p>{_text(schema['info'].get('description', ''))}</p>"]
    parts.append('<p>The same for machines: <a href="/openapi.json">/openapi.json</a>.</p>')
    for path, methods in schema["paths"].items():
        for method, about in methods.items():
            parts.append(_route(schema, f"{method.upper()} {path}", about))
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{_text(schema["info"]["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head>'
        f"<body><main>{''.join(parts)}</main></body></html>"
    )


def _route(schema: dict[str, Any], name: str, about: dict[str, Any]) -> str:
    rows = [
        (one["name"], f"in the {one['in']}", _kind(schema, one["schema"]), one.get("description", ""))
        for one in about.get("parameters", ())
    ]
    for content in about.get("requestBody", {}).get("content", {}).values():
        fields = _resolved(schema, content["schema"]).get("properties", {})
        rows += [(field, "form", _kind(schema, of), of.get("description", "")) for field, of in fields.items()]
    table = "".join(
        f"<tr><td><code>{_text(field)}</code><td>{_text(where)}<td>{_text(kind)}<td>{_text(what)}"
        for field, where, kind, what in rows
    )
    table = f"<table><tr><th>name<th>where<th>kind<th>what{table}</table>" if rows else ""
    answers = "".join(
        f"<p>{_text(code)}: {_text(answer['description'])}{_example(schema, answer)}</p>"
        for code, answer in about["responses"].items()
        if code[0] == "2"
    )
    said = _text(about.get("description", ""))
    return f"<h2><code>{_text(name)}</code></h2><p><b>{_text(about['summary'])}.</b> {said}</p>{table}{answers}"


def _example(schema: dict[str, Any], answer: dict[str, Any]) -> str:
    for content in answer.get("content", {}).values():
        found = _resolved(schema, content.get("schema", {})).get("properties")
        if found:
            return f"<pre>{_text(json.dumps({name: _kind(schema, of) for name, of in found.items()}, indent=1))}</pre>"
    return ""


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in part:
        part = schema["components"]["schemas"][part["$ref"].rpartition("/")[2]]
    return part


def _kind(schema: dict[str, Any], part: dict[str, Any]) -> str:
    part = _resolved(schema, part)
    if "enum" in part:
        return " | ".join(map(str, part["enum"]))
    for one in part.get("anyOf", ()):
        if one.get("type") != "null":
            return _kind(schema, one)
    if "contentMediaType" in part or part.get("format") == "binary":
        return "file"
    return str(part.get("type", "anything"))


def _text(value: object) -> str:
    return html.escape(str(value))
