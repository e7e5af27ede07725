"""A web server on loopback that has ETags, resumes, packs, truncates, stalls, redirects, lies."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from msgspec import Struct


class Page(Struct):
    """What is at a path."""

    content: bytes
    headers: dict[str, str] = {}
    is_tagged: bool = True  # has an ETag, and so can be asked for conditionally and in parts

    @property
    def etag(self) -> str:
        """The strong ETag of the content."""
        return f'"{hashlib.sha256(self.content).hexdigest()[:12]}"'


class Request(Struct):
    """A request that came."""

    path: str
    headers: dict[str, str]  # names in lower case


# Answers a request itself instead of the page; it may leave the connection as it likes.
Fault = Callable[["Handler"], None]


class WebServer:
    """Serves `pages` by path. Faults of a path are taken one for each request, then the page."""

    def __init__(self, context: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> None:
        self.pages: dict[str, Page] = {}
        self.faults: dict[str, list[Fault]] = {}
        self.requests: list[Request] = []
        self.login = ""  # the only `Authorization` that is let in
        self.arrived = threading.Event()  # a request has come
        self.closing = threading.Event()
        self.open_count = self.open_most_count = 0
        self.lock = threading.Lock()
        handler = type("BoundHandler", (Handler,), {"site": self})
        self._server = ThreadingHTTPServer((host, 0), handler)
        self._server.daemon_threads = True
        self._server.request_queue_size = 64
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def put(self, path: str, content: bytes | object, **fields: Any) -> None:
        """Put a page: bytes as they are, anything else as JSON."""
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.pages[path] = Page(body, **fields)

    def script(self, name: str, versions: dict[str, bytes], **fields: Any) -> None:
        """Put a script's versions, and name it in the index."""
        known = json.loads(self.pages["/api/scripts"].content) if self.pages else {"scripts": []}
        self.put("/api/scripts", {"scripts": sorted({*known["scripts"], name})})
        self.put(f"/api/scripts/{name}/versions", {"versions": list(versions)})
        for version, content in versions.items():
            self.put(f"/{name}/{version}", content, **fields)

    def fail(self, path: str, *faults: Fault) -> None:
        """Answer the next requests of a path otherwise."""
        self.faults[path] = list(faults)

    def asked(self, path: str) -> list[Request]:
        """Return the requests of a path."""
        return [each for each in self.requests if each.path == path]

    def close(self) -> None:
        """Stop serving."""
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    site: WebServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer with a fault if one is due, else with the page."""
        site = self.site
        path = self.path
        with site.lock:
            headers = {name.lower(): value for name, value in self.headers.items()}
            site.requests.append(Request(path, headers))
            site.arrived.set()
            site.open_count += 1
            site.open_most_count = max(site.open_most_count, site.open_count)
            due = site.faults.get(path)
            fault = due.pop(0) if due else None
        try:
            if fault is not None:
                fault(self)
            else:
                self._answer(path)
        except (ConnectionError, TimeoutError, ssl.SSLError):
            self.close_connection = True
        finally:
            with site.lock:
                site.open_count -= 1

    def _answer(self, path: str) -> None:
        page = self.site.pages.get(path)
        if self.site.login and self.headers.get("Authorization") != self.site.login:
            self.send(401, b"no")
        elif page is None:
            self.send(404, b"nothing here", {"Content-Type": "text/plain"})
        else:
            self.page(page)

    def page(self, page: Page) -> None:
        """Answer with a page, as far as the conditions of the request let it."""
        headers = dict(page.headers)
        if page.is_tagged:
            headers.setdefault("ETag", page.etag)
        asked = self.headers
        tag, modified = headers.get("ETag"), headers.get("Last-Modified")
        if (tag and asked.get("If-None-Match") == tag) or (
            modified and asked.get("If-Modified-Since") == modified
        ):
            self.send(304, b"", headers)
            return
        if tag and "Range" in asked and asked.get("If-Range") == tag:
            start = int(asked["Range"].removeprefix("bytes=").rstrip("-"))
            total = len(page.content)
            told = {**headers, "Content-Range": f"bytes {start}-{total - 1}/{total}"}
            self.send(206, page.content[start:], told)
            return
        self.send(200, page.content, headers)

    def send(
        self,
        status: int,
        content: bytes,
        headers: dict[str, str] | None = None,
        *,
        cut_at: int | None = None,
    ) -> None:
        """Send an answer, or only so many bytes of it before the connection is closed."""
        told = {"Content-Length": str(len(content)), **(headers or {})}
        if status == 304:
            told.pop("Content-Length")
        self.send_response(status)
        for name, value in told.items():
            if value:
                self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content[:cut_at])
        self.wfile.flush()
        if cut_at is not None:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


# ---- faults --------------------------------------------------------------------------


def status(code: int, **headers: str) -> Fault:
    """Answer with a status."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(code, b"sorry", told)


def redirect(target: str, code: int = 302) -> Fault:
    """Answer with a redirect."""
    return status(code, Location=target)


def cut(at: int, page: Page) -> Fault:
    """Close the connection after so many bytes of a page."""
    headers = {"ETag": page.etag} if page.is_tagged else {}
    return lambda handler: handler.send(200, page.content, {**headers, **page.headers}, cut_at=at)


def stall(at: int, page: Page) -> Fault:
    """Fall silent after so many bytes of a page."""

    def fault(handler: Handler) -> None:
        headers = {"ETag": page.etag} if page.is_tagged else {}
        handler.send(200, page.content, {**headers, **page.headers}, cut_at=at)
        handler.site.closing.wait(20)

    return fault


def silence(handler: Handler) -> None:
    """Never answer."""
    handler.site.closing.wait(20)
    handler.close_connection = True


def hang_up(handler: Handler) -> None:
    """Close the connection without a word."""
    handler.close_connection = True


def drip(handler: Handler) -> None:
    """Send one byte now and then, for ever."""
    handler.send(200, b"x" * 100_000, cut_at=1)
    while not handler.site.closing.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def raw(content: bytes) -> Fault:
    """Send bytes as they are and close the connection."""

    def fault(handler: Handler) -> None:
        handler.wfile.write(content)
        handler.close_connection = True

    return fault


def answer(content: bytes, code: int = 200, **headers: str) -> Fault:
    """Answer with this, whatever was asked for."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return lambda handler: handler.send(code, content, told)
