"""`/openapi.json` and `/docs`: the API describes itself, offline.

The page is Swagger UI as its makers ship it (`zscrape/gateway/viewer`), packed once and given as
it lies there. It may load its own files and call this gateway, and nothing else; no script and
no style stands in the page.
"""

from __future__ import annotations

import gzip
import hashlib
import html
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape import __version__
from zscrape.errors.requests import NotFound
from zscrape.gateway.api import dashboard
from zscrape.gateway.api.dashboard import Asset
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, language
from zscrape.messages import text
from zscrape.onuse import on_use

if TYPE_CHECKING:
    from importlib import resources

    from zscrape.gateway import openapi
else:
    openapi = on_use("zscrape.gateway.openapi")
    resources = on_use("importlib.resources")

ROOT: Final = "/docs/"
_FOLDER: Final = "zscrape.gateway.viewer"
_PAGE: Final = "index.html"
# Pictures of the viewer stand in its style as `data:`. It makes markup of texts that it has cleaned
# itself, so no Trusted Types here; a script in a text would still not run.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)


@needs("open")
async def document(request: Request) -> Response:
    """`GET /openapi.json`: this API in OpenAPI 3.1."""
    check_query(request, ())
    content = msgspec.json.format(msgspec.json.encode(_document(request)), indent=2)
    return Response(content, media_type="application/json")


def _document(request: Request) -> dict[str, Any]:
    """Return the description, drawn once: the routes of a running gateway do not change."""
    state = request.app.state
    if not hasattr(state, "openapi"):
        state.openapi = openapi.describe(request.app.routes)
    found: dict[str, Any] = state.openapi
    return found


@needs("open")
async def page(request: Request) -> Response:
    """`GET /docs`: this page: the calls of this API, each to be tried."""
    check_query(request, ())
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    shown = _page(language(request))
    return dashboard.delivered(request, shown, {**headers, "Vary": "Accept-Language"})


@needs("open")
async def asset(request: Request) -> Response:
    """`GET /docs/{digest}/{name}`: one of the files of that page."""
    name = request.path_params["name"]
    found = assets().get(name)
    if found is None:
        raise NotFound(kind="path", name=request.url.path[:200])
    is_current = request.path_params["digest"] == digest()
    headers = {"Cache-Control": dashboard.FOR_EVER if is_current else "no-store"}
    return dashboard.delivered(request, found, headers)


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """Return every file by its name."""
    found = {}
    for each in resources.files(_FOLDER).iterdir():
        name = each.name.removesuffix(".gz")
        kind = dashboard.TYPES.get(name.rpartition(".")[2])
        if kind is None or name == _PAGE:
            continue
        content = each.read_bytes()
        if name == each.name:
            found[name] = _asset(content, gzip.compress(content, 9, mtime=0), kind)
        else:
            found[name] = _asset(gzip.decompress(content), content, kind)
    return found


@lru_cache(maxsize=1)
def digest() -> str:
    """Return what stands for all of the files together."""
    told = " ".join(f"{name} {each.tag}" for name, each in sorted(assets().items()))
    return hashlib.sha256(told.encode()).hexdigest()[:16]


@lru_cache(maxsize=4)
def _page(lang: str) -> Asset:
    shown = (resources.files(_FOLDER) / _PAGE).read_text("utf-8")
    values = {
        "lang": lang,
        "version": __version__,
        "base": f"{ROOT}{digest()}/",
        "icon": f"{dashboard.ROOT}{dashboard.digest()}/icon.svg",
        "intro": html.escape(text("docs.intro", lang)),
        "dashboard": html.escape(text("docs.dashboard", lang)),
    }
    for name, value in values.items():
        shown = shown.replace(f"{{{{{name}}}}}", value)
    content = shown.encode()
    return _asset(content, gzip.compress(content, 9, mtime=0), dashboard.TYPES["html"])


def _asset(content: bytes, packed: bytes, media_type: str) -> Asset:
    return Asset(content, packed, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/openapi.json", document, methods=["GET"]),
        Route("/docs", page, methods=["GET"]),
        Route(f"{ROOT}{{digest}}/{{name}}", asset, methods=["GET"]),
    ]
