"""`/` and `/ui/`: the dashboard, a page and a few files that the package brings.

The files stand under a digest of all of them, so a browser may keep them for ever, and a new
version is another address. The page itself is asked for each time and answered by a 304.
Nothing runs in it but these files: no script and no style in the page, none from elsewhere,
and no way to make markup of a text (Trusted Types).
"""

from __future__ import annotations

import gzip
import hashlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

import msgspec
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape import __version__
from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import language
from zscrape.onuse import on_use

if TYPE_CHECKING:
    from importlib import resources

    from zscrape.messages import dashboard as messages
else:
    messages = on_use("zscrape.messages.dashboard")
    resources = on_use("importlib.resources")

ROOT: Final = "/ui/"
_FOLDER: Final = "zscrape.gateway.dashboard"
_PAGE: Final = "index.html"
_WORDS: Final = "words.json"
TYPES: Final = {
    "html": "text/html; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "json": "application/json",
    "svg": "image/svg+xml",
    "txt": "text/plain; charset=utf-8",
}
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self';"
    " img-src 'self' blob:; base-uri 'none'; form-action 'self'; frame-ancestors 'none';"
    " require-trusted-types-for 'script'; trusted-types 'none'"
)
FOR_EVER: Final = "public, max-age=31536000, immutable"
_HEADERS: Final = {"X-Robots-Tag": "noindex"}


class Asset(Struct, frozen=True):
    """One file, as it is and packed."""

    content: bytes
    packed: bytes
    media_type: str
    tag: str


@lru_cache(maxsize=1)
def assets() -> dict[str, Asset]:
    """Return every file by its name."""
    found = {
        each.name: each.read_bytes()
        for each in resources.files(_FOLDER).iterdir()
        if each.name.rpartition(".")[2] in TYPES and each.name != _PAGE
    }
    words = {
        key.removeprefix("ui."): [each.en, each.ko] for key, each in messages.DASHBOARD.items()
    }
    found[_WORDS] = msgspec.json.encode(words)
    return {name: _asset(name, content) for name, content in sorted(found.items())}


@lru_cache(maxsize=1)
def digest() -> str:
    """Return what stands for all of the files together."""
    whole = hashlib.sha256()
    for name, asset in assets().items():
        whole.update(f"{name} {asset.tag} ".encode())
    return whole.hexdigest()[:16]


@lru_cache(maxsize=4)
def page(lang: str) -> Asset:
    """Return the page that loads them."""
    scripts = [name for name in assets() if name.endswith(".js") and name != "uplot.js"]
    preloads = "".join(f'<link rel="modulepreload" href="{_path(name)}">\n' for name in scripts)
    template = (resources.files(_FOLDER) / _PAGE).read_text("utf-8")
    values = {"lang": lang, "base": _path(""), "preloads": preloads, "version": __version__}
    for name, value in values.items():
        template = template.replace(f"{{{{{name}}}}}", value)
    return _asset(_PAGE, template.encode())


def _path(name: str) -> str:
    return f"{ROOT}{digest()}/{name}"


def _asset(name: str, content: bytes) -> Asset:
    # A moment in it would make other bytes of the same.
    packed = gzip.compress(content, 9, mtime=0)
    media_type = TYPES[name.rpartition(".")[2]]
    return Asset(content, packed, media_type, f'"{hashlib.sha256(content).hexdigest()[:16]}"')


@needs("open")
async def front(request: Request) -> Response:
    """`GET /`: the dashboard; it asks for itself who is signed in."""
    headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-cache"}
    return delivered(request, page(language(request)), {**headers, "Vary": "Accept-Language"})


@needs("open")
async def asset(request: Request) -> Response:
    """`GET /ui/{digest}/{name}`: one of its files."""
    name = request.path_params["name"]
    found = assets().get(name)
    if found is None:
        raise NotFound(kind="path", name=request.url.path[:200])
    # A page that stood open while the gateway became another asks for what was before.
    is_current = request.path_params["digest"] == digest()
    return delivered(request, found, {"Cache-Control": FOR_EVER if is_current else "no-store"})


def delivered(request: Request, found: Asset, headers: dict[str, str]) -> Response:
    """Return a file as the browser takes it: packed or not, or the word that it has it."""
    vary = ", ".join(filter(None, ("Accept-Encoding", headers.get("Vary"))))
    told = {**headers, **_HEADERS, "ETag": found.tag, "Vary": vary}
    if request.headers.get("if-none-match") == found.tag:
        return Response(status_code=304, headers=told)
    if "gzip" in request.headers.get("accept-encoding", ""):
        told["Content-Encoding"] = "gzip"
        return Response(found.packed, headers=told, media_type=found.media_type)
    return Response(found.content, headers=told, media_type=found.media_type)


def routes() -> list[BaseRoute]:
    """Return the routes of the dashboard."""
    return [
        Route("/", front, methods=["GET"]),
        Route(f"{ROOT}{{digest}}/{{name}}", asset, methods=["GET"]),
    ]
