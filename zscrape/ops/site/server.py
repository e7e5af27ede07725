"""Serve the site on loopback, in threads of its own.

    /  /shop?category=&page=&day=  /shop/<slug>?day=  /prices?day=  /blog  /blog/<slug>
    /live  /live/items?after=N  /check
    /feed.xml  /atom.xml  /sitemap.xml  /robots.txt  /files/price-list.csv
    /slow?s=2  /error (500)  /unavailable (503)  /blocked (403)  /missing (404)
    /redirect (302 to the shop)
    /api/products?cursor=&limit= (JSON)
    /login  /logout  /my (see `members.py`)    /board  /board/<number> (see `board.py`)

`day` moves the prices, for whoever watches them.
"""

from __future__ import annotations

import contextlib
import math
import socket
import threading
from collections.abc import Callable
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from msgspec import Struct

from zscrape.ops.site import board, documents, live, pages
from zscrape.ops.site.goods import CATEGORIES, POST_BY_SLUG, PRODUCT_BY_SLUG
from zscrape.ops.site.members import PATHS as MEMBERS_PATHS, Members

_HTML: Final = "text/html; charset=utf-8"
_SLOW_LIMIT_S: Final = 60.0
_DAY_LIMIT: Final = 10_000
_FORM_LIMIT_BYTES: Final = 10_000


class _Answer(Struct, frozen=True):
    body: bytes
    status: int = 200
    content_type: str = _HTML
    headers: tuple[tuple[str, str], ...] = ()


class _Query:
    """The query of one request; what is not a number counts as not given."""

    def __init__(self, query: str) -> None:
        self._values = parse_qs(query)

    def text(self, name: str) -> str:
        return self._values.get(name, [""])[0]

    def number(self, name: str, default: float, limit: float) -> float:
        try:
            value = float(self.text(name) or default)
        except ValueError:
            return default
        return min(max(value, 0.0), limit) if math.isfinite(value) else default

    @property
    def day(self) -> int:
        return int(self.number("day", 0, _DAY_LIMIT))


class Site:
    """The site; also a context manager whose value is itself."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    @property
    def url(self) -> str:
        """Where it is served, without a slash at the end.

        Raises:
            RuntimeError: It has not been started.
        """
        if self._server is None:
            raise RuntimeError("the site has not been started")
        return self._server.url

    def start(self) -> str:
        """Serve on a free port of 127.0.0.1 and return the address."""
        if self._server is None:
            self._server = _Server()
            self._thread = threading.Thread(
                target=self._server.serve_forever, args=(0.05,), name="site", daemon=True
            )
            self._thread.start()
        return self.url

    def stop(self) -> None:
        """Stop serving; slow pages under way are cut short."""
        if self._server is None or self._thread is None:
            return
        self._server.stopping.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        self._server = self._thread = None

    def __enter__(self) -> Site:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.stop()


class _Server(ThreadingHTTPServer):
    # Threads are waited for when the server closes, so that nothing outlives `stop`.
    daemon_threads = False
    request_queue_size = 128

    def __init__(self) -> None:
        self.stopping = threading.Event()
        self.members = Members()
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def process_request(self, request: socket.socket, client_address: object) -> None:  # type: ignore[override]
        """Answer in a thread; the connection is known until it is closed."""
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:  # type: ignore[override]
        """Close a connection that has been answered."""
        self._open.discard(request)
        super().shutdown_request(request)

    def server_close(self) -> None:
        """Stop listening, hang up on clients that say nothing, and wait for the threads."""
        for each in tuple(self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RD)
        super().server_close()

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: a client that hangs up in the middle is no fault of the site."""


class _Handler(BaseHTTPRequestHandler):
    """Answers one request per connection, so that none is left open when the site stops."""

    server: _Server
    server_version = "OngiStore"
    sys_version = ""
    timeout = 10

    def do_GET(self) -> None:
        """Answer with the page."""
        answer = self._answer()
        self._send_head(answer)
        self.wfile.write(answer.body)

    def do_POST(self) -> None:
        """Take a form; only a login has one."""
        length = self.headers.get("Content-Length") or ""
        size_bytes = int(length) if length.isdecimal() else 0
        body = self.rfile.read(min(size_bytes, _FORM_LIMIT_BYTES))
        answer = self._answer(body)
        self._send_head(answer)
        self.wfile.write(answer.body)

    def do_HEAD(self) -> None:
        """Answer without the body."""
        self._send_head(self._answer())

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - inherited
        """Say nothing: the site shares its terminal with the cluster's log."""

    def _send_head(self, answer: _Answer) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Length", str(len(answer.body)))
        for name, value in answer.headers:
            self.send_header(name, value)
        self.end_headers()

    def _answer(self, form: bytes = b"") -> _Answer:
        address = urlsplit(self.path)
        path, query = unquote(address.path), _Query(address.query)
        if path in MEMBERS_PATHS:
            cookies = self.headers.get("Cookie", "")
            told = self.server.members.answer(self.command, path, cookies, form)
            return _Answer(pages.member(told.body).encode(), told.status, headers=told.headers)
        if path == "/slow":
            seconds = query.number("s", 1.0, _SLOW_LIMIT_S)
            self.server.stopping.wait(seconds)
            return _Answer(pages.slow(seconds).encode())
        if path == "/live/items":
            after = int(query.number("after", 0, 1000))
            return _Answer(live.items(after), content_type="application/json")
        found = (
            _page(path, query)
            or _document(path, self.server.url)
            or _board(path, address.query)
            or _special(path)
        )
        return found or _failure(404, "없는 페이지입니다 · There is no such page")


def _page(path: str, query: _Query) -> _Answer | None:
    text: str | None = None
    match path.strip("/").split("/"):
        case [""]:
            text = pages.home()
        case ["shop"] if query.text("category") in {"", *CATEGORIES}:
            number = int(query.number("page", 1, 1000))
            text = pages.shop(query.text("category"), number, query.day)
        case ["shop", slug] if slug in PRODUCT_BY_SLUG:
            text = pages.product(PRODUCT_BY_SLUG[slug], query.day)
        case ["prices"]:
            text = pages.price_list(query.day)
        case ["blog"]:
            text = pages.blog()
        case ["blog", slug] if slug in POST_BY_SLUG:
            text = pages.post(POST_BY_SLUG[slug])
        case ["api", "products"]:
            first, limit = query.number("cursor", 0, 1000), query.number("limit", 20, 50)
            body = documents.products(int(first), max(int(limit), 1))
            return _Answer(body.encode(), content_type="application/json")
        case _:
            text = live.PAGES.get(path)
    return None if text is None else _Answer(text.encode())


def _board(path: str, query: str) -> _Answer | None:
    body: bytes | None = None
    match path.strip("/").split("/"):
        case ["board"]:
            body = board.page(query)
        case ["board", number]:
            body = board.notice(number)
        case _:
            pass
    return None if body is None else _Answer(body, content_type="text/html")


_DOCUMENTS: Final[dict[str, tuple[Callable[[str], str], str]]] = {
    "/feed.xml": (documents.rss, "application/rss+xml; charset=utf-8"),
    "/atom.xml": (documents.atom, "application/atom+xml; charset=utf-8"),
    "/sitemap.xml": (documents.sitemap_index, "application/xml"),
    "/sitemap-shop.xml": (documents.shop_sitemap, "application/xml"),
    "/sitemap-blog.xml": (documents.blog_sitemap, "application/xml"),
    "/robots.txt": (documents.robots, "text/plain; charset=utf-8"),
}


def _document(path: str, base: str) -> _Answer | None:
    if path not in _DOCUMENTS:
        return None
    make, content_type = _DOCUMENTS[path]
    return _Answer(make(base).encode(), content_type=content_type)


def _special(path: str) -> _Answer | None:
    match path:
        case "/files/price-list.csv":
            name = ("Content-Disposition", 'attachment; filename="price-list.csv"')
            csv = pages.price_list_csv()
            return _Answer(csv, content_type="text/csv; charset=utf-8", headers=(name,))
        case "/redirect":
            return _Answer(b"", HTTPStatus.FOUND, headers=(("Location", "/shop"),))
        case "/error":
            return _failure(500, "서버 오류 · Something broke")
        case "/unavailable":
            return _failure(503, "잠시 쉽니다 · Back soon")
        case "/blocked":
            return _failure(403, "접근이 거부되었습니다 · Access denied")
        case _:
            return None


def _failure(status: int, words: str) -> _Answer:
    return _Answer(pages.failure(status, words).encode(), status)
