"""What goes wrong out there.

/limited?n=5&window=1&retry_after=1&name=   at most `n` answers per window, else 429
/flaky?fail=2&status=503&name=&retry_after= the first `fail` answers have that status
/status/<code>?retry_after=
/redirect/loop   /redirect/chain/<n>   /redirect/to?url=&status=
/slow?s=         waits, then answers            /stall    headers, then nothing more
/drip            a byte now and then, for ever  /endless  megabytes, for ever
/cut             ends before its Content-Length
/bomb?mb=&kind=gzip|deflate|members|br   a small answer that becomes a large one
/garbled         says gzip and is not
/blocked?by=cloudflare|akamai|datadome|perimeterx|incapsula   block pages as they look
"""

from __future__ import annotations

import asyncio
import gzip
import math
import zlib
from collections.abc import AsyncIterator, Callable

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.shop.goods import page
from tests.shop.state import state_of

_MB = 1024 * 1024
_STEP_S = 0.02

_CLOUDFLARE = (
    "<!DOCTYPE html><html><head><title>Just a moment...</title></head><body>"
    '<script src="/cdn-cgi/challenge-platform/h/b/orchestrate/chl_page/v1"></script></body></html>'
)
_AKAMAI = (
    "<HTML><HEAD><TITLE>Access Denied</TITLE></HEAD><BODY><H1>Access Denied</H1>You don't have "
    'permission to access "http&#58;&#47;&#47;shop" on this server.<P>Reference&#32;&#35;18.2f</P>'
    "</BODY></HTML>"
)
_INCAPSULA = (
    '<html><head><META NAME="robots" CONTENT="noindex,nofollow"></head><body>'
    '<iframe id="main-iframe" src="/_Incapsula_Resource?CWUDNSAI=23"></iframe></body></html>'
)
_BLOCKS: dict[str, tuple[int, str, dict[str, str]]] = {
    "cloudflare": (403, _CLOUDFLARE, {"Server": "cloudflare", "cf-mitigated": "challenge"}),
    "akamai": (403, _AKAMAI, {"Server": "AkamaiGHost"}),
    "datadome": (
        403,
        '<script src="https://ct.captcha-delivery.com/c.js">',
        {"x-datadome": "protected"},
    ),
    "perimeterx": (403, '<div id="px-captcha"></div>', {}),
    "incapsula": (200, _INCAPSULA, {"X-CDN": "Incapsula"}),
}


class CutOff(Exception):
    """Raised in the middle of an answer to have the connection closed."""


def breaking_off(body: bytes, headers: dict[str, str], status: int = 200) -> Response:
    """Return an answer of which half comes."""

    async def half() -> AsyncIterator[bytes]:
        yield body[: len(body) // 2]
        await asyncio.sleep(_STEP_S)
        raise CutOff

    return StreamingResponse(half(), status, {**headers, "Content-Length": str(len(body))})


def _retry(request: Request) -> dict[str, str]:
    told = request.query_params.get("retry_after")
    return {} if told is None else {"Retry-After": told}


def _bomb_of(kind: str, size_bytes: int) -> bytes:
    if kind == "members":
        return gzip.compress(bytes(_MB)) * (size_bytes // _MB)
    packer = zlib.compressobj(9, zlib.DEFLATED, 31 if kind == "gzip" else 15)
    zeros = bytes(_MB)
    return b"".join(packer.compress(zeros) for _ in range(size_bytes // _MB)) + packer.flush()


def _forever(request: Request, make: Callable[[], bytes], wait_s: float) -> StreamingResponse:
    async def parts() -> AsyncIterator[bytes]:
        while not state_of(request).is_closing:
            yield make()
            await asyncio.sleep(wait_s)

    return StreamingResponse(parts(), media_type="text/html")


async def _until_closing(request: Request, limit_s: float) -> None:
    loop = asyncio.get_running_loop()
    ends_at = loop.time() + limit_s
    while loop.time() < ends_at and not state_of(request).is_closing:  # noqa: ASYNC110 - another thread stops it
        await asyncio.sleep(_STEP_S)


async def _limited(request: Request) -> Response:
    query = request.query_params
    name = f"limited {query.get('name', '')}"
    if state_of(request).is_within(name, int(query.get("n", "5")), float(query.get("window", "1"))):
        return page("Welcome", "<p>You are not too many.</p>")
    later = {"Retry-After": query.get("retry_after", "1")}
    return Response("Too many requests", 429, later)


async def _flaky(request: Request) -> Response:
    query = request.query_params
    if state_of(request).count(f"flaky {query.get('name', '')}") <= int(query.get("fail", "2")):
        return Response("Not now", int(query.get("status", "503")), _retry(request))
    return page("Better", "<p>It works again.</p>")


async def _status(request: Request) -> Response:
    return Response("This is all.", int(request.path_params["code"]), _retry(request))


async def _loop(request: Request) -> Response:
    return RedirectResponse("/redirect/loop")


async def _chain(request: Request) -> Response:
    left = int(request.path_params["count"])
    return RedirectResponse(f"/redirect/chain/{left - 1}" if left > 1 else "/products")


async def _away(request: Request) -> Response:
    query = request.query_params
    return RedirectResponse(query["url"], int(query.get("status", "302")))


async def _slow(request: Request) -> Response:
    await _until_closing(request, float(request.query_params.get("s", "1")))
    return page("Slow", "<p>At last.</p>")


async def _stall(request: Request) -> Response:
    async def nothing() -> AsyncIterator[bytes]:
        yield b"<html>"
        await _until_closing(request, math.inf)

    return StreamingResponse(nothing(), media_type="text/html")


async def _drip(request: Request) -> Response:
    return _forever(request, lambda: b".", 0.1)


async def _endless(request: Request) -> Response:
    return _forever(request, lambda: b"x" * 65536, 0.0)


async def _cut(request: Request) -> Response:
    return breaking_off(b"<p>half</p>" * 100, {"Content-Type": "text/html"})


async def _bomb(request: Request) -> Response:
    kind = request.query_params.get("kind", "gzip")
    raw = _bomb_of(kind, int(request.query_params.get("mb", "100")) * _MB)
    coding = "gzip" if kind == "members" else kind
    return Response(raw, media_type="text/html", headers={"Content-Encoding": coding})


async def _packed(request: Request) -> Response:
    kind = request.query_params.get("kind", "gzip")
    text = b"<h1>Packed</h1>" + b"<p>tea</p>" * 1000
    raw = gzip.compress(text) if kind == "gzip" else zlib.compress(text)
    if kind == "raw":
        packer = zlib.compressobj(9, zlib.DEFLATED, -15)
        raw, kind = packer.compress(text) + packer.flush(), "deflate"
    return Response(raw, media_type="text/html", headers={"Content-Encoding": kind})


async def _garbled(request: Request) -> Response:
    return Response(b"this is no gzip", headers={"Content-Encoding": "gzip"})


async def _blocked(request: Request) -> Response:
    code, text, headers = _BLOCKS[request.query_params.get("by", "cloudflare")]
    return Response(text, code, headers, "text/html")


ROUTES = [
    Route("/limited", _limited),
    Route("/flaky", _flaky, methods=["GET", "POST"]),
    Route("/status/{code:int}", _status, methods=["GET", "POST"]),
    Route("/redirect/loop", _loop),
    Route("/redirect/chain/{count:int}", _chain),
    Route("/redirect/to", _away),
    Route("/slow", _slow),
    Route("/stall", _stall),
    Route("/drip", _drip),
    Route("/endless", _endless),
    Route("/cut", _cut),
    Route("/bomb", _bomb),
    Route("/packed", _packed),
    Route("/garbled", _garbled),
    Route("/blocked", _blocked),
]
