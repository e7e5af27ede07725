"""`/openapi.json` and `/docs`: the API describes itself, offline and without scripts."""

from __future__ import annotations

import base64
import hashlib
from html import escape
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, language
from zscrape.gateway.openapi import describe
from zscrape.messages import text

_STYLE: Final = """
:root { color-scheme: light dark; font: 16px/1.5 system-ui, sans-serif; }
body { max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; border-bottom: 1px solid; }
summary { cursor: pointer; padding: .35rem 0; }
code, pre { font: .9rem/1.45 ui-monospace, monospace; }
pre { overflow-x: auto; padding: .75rem; border: 1px solid; border-radius: .4rem; }
.method { display: inline-block; min-width: 4.5rem; font-weight: 700; }
table { border-collapse: collapse; } td, th { padding: .15rem .9rem .15rem 0; text-align: left; }
"""
_STYLE_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_PAGE_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; frame-ancestors 'none'; "
    "base-uri 'none'; form-action 'none'"
)


@needs("open")
async def document(request: Request) -> Response:
    """`GET /openapi.json`: this API in OpenAPI 3.1."""
    check_query(request, ())
    content = msgspec.json.format(msgspec.json.encode(_document(request)), indent=2)
    return Response(content, media_type="application/json")


@needs("open")
async def page(request: Request) -> Response:
    """`GET /docs`: the same for people, on one page that loads nothing."""
    check_query(request, ())
    headers = {"Content-Security-Policy": _PAGE_POLICY, "Vary": "Accept-Language"}
    return HTMLResponse(_page(_document(request), language(request)), headers=headers)


def _document(request: Request) -> dict[str, Any]:
    """Return the description, drawn once: the routes of a running gateway do not change."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = describe(request.app.routes)
    found: dict[str, Any] = state.openapi
    return found


def _page(told: dict[str, Any], lang: str) -> str:
    tags: dict[str, list[str]] = {}
    for path, methods in told["paths"].items():
        for method, operation in methods.items():
            tags.setdefault(operation["tags"][0], []).append(_shown(method, path, operation, lang))
    sections = "".join(f"<h2>{escape(tag)}</h2>{''.join(each)}" for tag, each in tags.items())
    schemas = "".join(
        f"<details><summary><code>{escape(name)}</code></summary>{_json(schema)}</details>"
        for name, schema in told["components"]["schemas"].items()
    )
    intro = escape(text("docs.intro", lang))
    return (
        f'<!doctype html><html lang="{lang}"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>zscrape {escape(told['info']['version'])}</title><style>{_STYLE}</style></head>"
        f"<body><h1>zscrape {escape(told['info']['version'])}</h1><p>{intro} "
        f'<a href="/openapi.json">openapi.json</a></p>{sections}'
        f"<h2>{escape(text('docs.schemas', lang))}</h2>{schemas}</body></html>"
    )


def _shown(method: str, path: str, operation: dict[str, Any], lang: str) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(each['name'])}</code></td><td>{each['in']}</td>"
        f"<td><code>{escape(msgspec.json.encode(each['schema']).decode())}</code></td></tr>"
        for each in operation["parameters"]
    )
    body = operation.get("requestBody")
    told_body = ""
    if body is not None:
        schema = body["content"]["application/json"]["schema"]
        told_body = f"<h4>{escape(text('docs.body', lang))}</h4>{_json(schema)}"
    answers = _json({status: _media(each) for status, each in operation["responses"].items()})
    return (
        f'<details><summary><span class="method">{method.upper()}</span><code>{escape(path)}</code>'
        f" &mdash; {escape(operation['summary'])}</summary>"
        f"<p>{escape(operation.get('description', ''))}</p>"
        f"<h4>{escape(text('docs.parameters', lang))}</h4><table>{rows}</table>{told_body}"
        f"<h4>{escape(text('docs.answers', lang))}</h4>{answers}</details>"
    )


def _media(answer: dict[str, Any]) -> Any:
    content = answer.get("content")
    if not content:
        return answer["description"]
    return {media: each["schema"] for media, each in content.items()}


def _json(value: Any) -> str:
    shown = msgspec.json.format(msgspec.json.encode(value), indent=2).decode()
    return f"<pre>{escape(shown)}</pre>"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/openapi.json", document, methods=["GET"]),
        Route("/docs", page, methods=["GET"]),
    ]
