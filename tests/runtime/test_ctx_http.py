"""`ctx.http` against a real server on the loopback."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar

import pytest

from zscrape.runtime import retrying
from zscrape.runtime.ctx_http import Http, HttpError

PAGE = """
<html><head><base href="/shop/"></head><body>
  <h1>  Tea \n  shop </h1>
  <ul><li class="p"><a href="tea?x=1#top">Tea</a> <b>3.50</b></li>
      <li class="p"><a href="http://other.example/a">Cup</a> <b data-sale>7</b></li></ul>
  <a href="tea?x=1">again</a> <a href="mailto:a@b">write</a>
</body></html>
"""


class Handler(BaseHTTPRequestHandler):
    """A few answers, and a count of what was asked."""

    asked: ClassVar[list[tuple[str, str, bytes, str]]] = []
    over = threading.Event()

    def do_GET(self) -> None:
        """Answer by the path's first part."""
        length = int(self.headers.get("Content-Length") or 0)
        body = self.rfile.read(length)
        self.asked.append((self.command, self.path, body, self.headers.get("User-Agent", "")))
        kind = self.path.strip("/").partition("?")[0]
        before_count = sum(path == self.path for _, path, _, _ in self.asked)
        if kind == "moved":
            self._send(302, b"", ("Location", "/page"))
        elif kind.isdigit():
            self._send(int(kind), b"no")
        elif kind == "flaky":
            self._send(503 if before_count < 3 else 200, b"late")
        elif kind == "json":
            self._send(200, b'{"a": [1]}')
        elif kind == "slow":
            self.over.wait(5)
        else:
            self._send(200, PAGE.encode(), ("Content-Type", "text/html; charset=utf-8"))

    do_POST = do_GET  # noqa: N815 - the library's name

    def _send(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in (*headers, ("Content-Length", str(len(body)))):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Keep quiet."""


@pytest.fixture
def site() -> Iterator[str]:
    """The address of a running server."""
    Handler.asked = []
    Handler.over.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    Handler.over.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def http(monkeypatch: pytest.MonkeyPatch) -> Iterator[Http]:
    """A client whose back-off is short."""
    monkeypatch.setattr(retrying, "BACKOFF_S", 0.01)
    made = Http(script_name="shop", ends_at=time.monotonic() + 20)
    made.has_robots = False
    yield made
    made.close()


def test_page_is_asked_by_selectors(site: str, http: Http) -> None:
    """A page gives its elements, their texts, attributes, and what is below them."""
    page = http.get(f"{site}/page", params={"n": 2})
    rows = page.css("li.p")

    assert (page.status, page.url) == (200, f"{site}/page?n=2")
    assert page.css("h1").text == "Tea shop"
    assert [row.css("b").text for row in rows] == ["3.50", "7"]
    assert [row.css("b").attr("data-sale") for row in rows] == [None, ""]
    assert rows.css("a").attr("href") == "tea?x=1#top"
    assert rows[0].css("li") == []
    assert (rows[0].tag, rows[0].css_first("i")) == ("li", None)
    assert page.css_first(".none") is None
    assert page.css(".none").text == ""
    assert "<b>3.50</b>" in rows[0].html


def test_links_are_absolute_and_each_once(site: str, http: Http) -> None:
    """Links follow `<base>`, lose their fragments, and are told once and in order."""
    page = http.get(f"{site}/page")

    assert page.links() == [f"{site}/shop/tea?x=1", "http://other.example/a"]


def test_redirects_are_followed_and_the_script_is_named(site: str, http: Http) -> None:
    """The page tells where it came from; the site is told who asks."""
    page = http.get(f"{site}/moved")

    assert page.url == f"{site}/page"
    assert Handler.asked[0][3].startswith("zscrape/")
    assert Handler.asked[0][3].endswith("(+shop)")


def test_bodies_are_sent_as_asked(site: str, http: Http) -> None:
    """JSON, a form and raw bytes each arrive as what they are."""
    http.post(f"{site}/page", json={"a": 1})
    http.post(f"{site}/page", data={"a": "1"})
    http.post(f"{site}/page", data=b"raw")

    assert [body for _, _, body, _ in Handler.asked] == [b'{"a":1}', b"a=1", b"raw"]
    assert http.get(f"{site}/json").json() == {"a": [1]}


def test_refusal_is_raised_unless_asked_otherwise(site: str, http: Http) -> None:
    """4xx and 5xx raise with their status and page; `check=False` gives the page."""
    with pytest.raises(HttpError) as caught:
        http.get(f"{site}/404")
    unchecked = http.get(f"{site}/403", check=False)

    assert caught.value.status == 404
    assert caught.value.page is not None
    assert caught.value.page.text == "no"
    assert unchecked.status == 403


def test_busy_site_is_asked_again(site: str, http: Http) -> None:
    """503 is tried three times when repeating is harmless, once otherwise."""
    page = http.get(f"{site}/flaky")
    with pytest.raises(HttpError):
        http.post(f"{site}/503")

    assert page.text == "late"
    assert [path for _, path, _, _ in Handler.asked] == ["/flaky"] * 3 + ["/503"]


def test_site_that_is_not_there_is_told(http: Http) -> None:
    """No connection is an error with status 0 and the reason."""
    with pytest.raises(HttpError, match="ConnectError") as caught:
        http.get("http://127.0.0.1:1/")

    assert caught.value.status == 0


def test_address_that_is_none_is_told_at_once(http: Http) -> None:
    """An address that cannot be asked is not tried again."""
    with pytest.raises(HttpError, match="UnsupportedProtocol"):
        http.get("ftp://x/")


def test_end_of_the_attempt_bounds_a_request(site: str) -> None:
    """A request never waits beyond the attempt's end, and none begins after it."""
    http = Http(script_name="shop", ends_at=time.monotonic() + 0.1)
    with pytest.raises(HttpError):  # the page would come
        http.get(f"{site}/slow")
    http.close()
