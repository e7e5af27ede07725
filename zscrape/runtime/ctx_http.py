"""`ctx.http`: one httpx client per attempt, and pages that can be asked by CSS selectors.

    page = ctx.http.get(url, params={"page": 2})
    for row in page.css("li.product"):
        yield {"name": row.css("h2").text, "link": page.join(row.css("a").attr("href"))}

The template imports and warms all of this once; the TLS context alone takes 87 ms to make.
"""

from __future__ import annotations

import json
import ssl
import time
from typing import Any
from urllib.parse import urljoin

import httpcore
import httpx
from selectolax.lexbor import LexborHTMLParser, LexborNode

from zscrape import __version__
from zscrape.runtime.network import refused

TRIES_COUNT = 3
BACKOFF_S = 0.5  # doubled with every further try
TIMEOUT_S = 30.0
_RETRIED_STATUS = (502, 503, 504)
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "PUT", "DELETE")  # repeating them changes nothing more

_tls: ssl.SSLContext | None = None


class HttpError(Exception):
    """Raised when a page cannot be had. `status` is 0 if no answer came; `page` is the answer."""

    def __init__(self, url: str, status: int, reason: str, page: Page | None = None) -> None:
        super().__init__(f"{url}: {f'HTTP {status} ' if status else ''}{reason}".rstrip())
        self.url = url
        self.status = status
        self.page = page


class Node:
    """One element of a page."""

    __slots__ = ("_node",)

    def __init__(self, node: LexborNode) -> None:
        self._node = node

    @property
    def text(self) -> str:
        """The element's text with runs of white space made one, none at the ends."""
        return " ".join(self._node.text(deep=True).split())

    @property
    def html(self) -> str:
        """The element as HTML."""
        return self._node.html or ""

    @property
    def tag(self) -> str:
        """The element's name in lower case."""
        return self._node.tag or ""

    def attr(self, name: str, default: str | None = None) -> str | None:
        """Return an attribute, empty if it is there without a value."""
        attributes = self._node.attributes
        return (attributes[name] or "") if name in attributes else default

    def css(self, selector: str) -> Nodes:
        """Return the elements below this one that match."""
        return Nodes(Node(each) for each in self._node.css(selector) if each != self._node)

    def css_first(self, selector: str) -> Node | None:
        """Return the first element below this one that matches."""
        return next(iter(self.css(selector)), None)


class Nodes(list[Node]):
    """Elements in the order of the page; `text` and `attr` are those of the first."""

    @property
    def text(self) -> str:
        """The first element's text, empty if there is no element."""
        return self[0].text if self else ""

    def attr(self, name: str, default: str | None = None) -> str | None:
        """Return an attribute of the first element."""
        return self[0].attr(name, default) if self else default

    def css(self, selector: str) -> Nodes:
        """Return what matches below any of these."""
        return Nodes(inner for each in self for inner in each.css(selector))


class Page:
    """One answer."""

    def __init__(self, response: httpx.Response) -> None:
        self._response = response
        self._tree: LexborHTMLParser | None = None

    @property
    def status(self) -> int:
        """The HTTP status."""
        return self._response.status_code

    @property
    def url(self) -> str:
        """Where the answer came from, after redirects."""
        return str(self._response.url)

    @property
    def headers(self) -> httpx.Headers:
        """The headers; names are found in any case."""
        return self._response.headers

    @property
    def content(self) -> bytes:
        """The body as it came, decompressed."""
        return self._response.content

    @property
    def text(self) -> str:
        """The body as text, in the charset that it names."""
        return self._response.text

    def json(self) -> Any:
        """Return the body read as JSON."""
        return json.loads(self.content)

    def css(self, selector: str) -> Nodes:
        """Return the elements that match."""
        return Nodes(Node(each) for each in self._parsed().css(selector))

    def css_first(self, selector: str) -> Node | None:
        """Return the first element that matches."""
        found = self._parsed().css_first(selector)
        return None if found is None else Node(found)

    def links(self) -> list[str]:
        """Return the absolute addresses of the links, each once, in order, without fragments."""
        found: dict[str, None] = {}
        for node in self.css("a[href]"):
            address = self.join(node.attr("href")).partition("#")[0]
            if address.startswith(("http://", "https://")):
                found[address] = None
        return list(found)

    def join(self, address: str | None) -> str:
        """Return an address of this page as an absolute one; it heeds `<base href>`."""
        base = self.css_first("base[href]")
        root = self.url if base is None else urljoin(self.url, base.attr("href") or "")
        return urljoin(root, (address or "").strip())

    def _parsed(self) -> LexborHTMLParser:
        if self._tree is None:
            self._tree = LexborHTMLParser(self.text)
        return self._tree


def page_of(url: str, html: str) -> Page:
    """Return a document that came by another way, as if it had been an answer."""
    return Page(httpx.Response(200, html=html, request=httpx.Request("GET", url)))


class Http:
    """The client: pooled, follows redirects, tries again, never waits beyond the attempt's end."""

    def __init__(self, *, script_name: str, ends_at: float) -> None:
        self._ends_at = ends_at
        self._client = httpx.Client(
            verify=_tls_context(),
            follow_redirects=True,
            headers={"User-Agent": f"zscrape/{__version__} (+{script_name})"},
        )

    @property
    def cookies(self) -> httpx.Cookies:
        """The cookies that sites have set, and those to send."""
        return self._client.cookies

    def get(self, url: str, **options: Any) -> Page:
        """Get a page; the options are those of `request`."""
        return self.request("GET", url, **options)

    def post(self, url: str, **options: Any) -> Page:
        """Post to a page; the options are those of `request`."""
        return self.request("POST", url, **options)

    def request(
        self,
        method: str,
        url: str,
        *,
        params: dict[str, Any] | None = None,
        headers: dict[str, str] | None = None,
        json: Any = None,
        data: Any = None,
        timeout: float = TIMEOUT_S,
        check: bool = True,
    ) -> Page:
        """Ask for a page.

        Args:
            method: An HTTP method.
            url: An absolute address.
            params: Query parameters, in place of those in the address.
            headers: Further headers.
            json: A body sent as JSON.
            data: A body: a dict is sent as a form, bytes and text as they are.
            timeout: Seconds for each step of the exchange, at most what the attempt has left.
            check: Raise on 4xx and 5xx.

        Raises:
            HttpError: No answer after `TRIES_COUNT` tries, or one that `check` refuses.
        """
        body = {"data": data} if isinstance(data, dict) else {"content": data}
        for number in range(TRIES_COUNT):
            is_last = number == TRIES_COUNT - 1
            try:
                response = self._client.request(
                    method,
                    url,
                    params=params,
                    headers=headers,
                    json=json,
                    timeout=min(timeout, self._left_s(url)),
                    **(body if data is not None else {}),
                )
            except (httpx.TransportError, httpx.InvalidURL) as error:
                if is_last or not _may_repeat(method, error):
                    reason = f"{type(error).__name__}: {error}"
                    raise HttpError(url, 0, reason) from error
            else:
                if (
                    is_last
                    or method not in _SAFE_METHODS
                    or response.status_code not in _RETRIED_STATUS
                ):
                    return _checked(Page(response), is_wanted=check)
            self._pause(url, BACKOFF_S * 2**number)
        raise AssertionError("the last try returns or raises")

    def put_off(self, waited_s: float) -> None:
        """Move the attempt's end by a time in which its clock stood."""
        self._ends_at += waited_s

    def _left_s(self, url: str) -> float:
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            raise HttpError(url, 0, "the attempt's time is up")
        return left_s

    def _pause(self, url: str, delay_s: float) -> None:
        # The script's own process, waiting on its own time for a site to recover.
        time.sleep(min(delay_s, self._left_s(url)))  # noqa: TID251


def _may_repeat(method: str, error: Exception) -> bool:
    """True iff trying again may help and cannot do anything twice."""
    if isinstance(error, (httpx.InvalidURL, httpx.UnsupportedProtocol)) or refused(error):
        return False
    return method in _SAFE_METHODS or isinstance(error, httpx.ConnectError)


def _checked(page: Page, *, is_wanted: bool) -> Page:
    if is_wanted and page.status >= 400:
        raise HttpError(page.url, page.status, "", page)
    return page


def _tls_context() -> ssl.SSLContext:
    global _tls  # noqa: PLW0603 - made once in the template, inherited by every child
    if _tls is None:
        _tls = httpx.create_ssl_context()
    return _tls


def warm() -> None:
    """Load and try out everything that a request and a page need, before the first fork."""
    import asyncio  # noqa: F401 - for scripts that are asynchronous
    import csv  # noqa: F401 - what scrapers import next
    import datetime as dt  # noqa: F401
    import html  # noqa: F401

    # A name of other than ASCII needs codecs that a limited child may no longer load.
    "백.example".encode("idna")

    # httpx loads its engine with the first real client, and the engine its parts with the
    # first connection: 100 ms in every child, were it not done here.
    with httpx.Client(verify=_tls_context()) as client:
        request = client.build_request("GET", "http://warm.example/", params={"page": 1})
    said = [b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 19\r\n\r\n"]
    backend = httpcore.MockBackend([*said, b"<a href='/x'>x</a>\n"])
    with httpcore.ConnectionPool(network_backend=backend) as pool:
        answer = pool.request("GET", str(request.url))
    page = Page(
        httpx.Response(200, headers=answer.headers, content=answer.content, request=request)
    )
    page.links()
