"""A plain GET is asked without httpx: the same question, the same answer, the same errors."""

from __future__ import annotations

import gzip
import select
import socket
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from zscrape.runtime import direct
from zscrape.runtime.ctx_http import Http, HttpError
from zscrape.runtime.gate import Exchange

LIMIT_S = 10.0
OK = b"HTTP/1.1 200 OK\r\n"
PACKED = gzip.compress(b"packed", mtime=0)


class Site:
    """Says what it is told to, whatever it is asked; a connection for each of `says`."""

    def __init__(self) -> None:
        self.says: list[list[bytes]] = []  # by connection: an answer for each question
        self.heard: list[bytes] = []
        self.connections_count = 0
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        """Serve nobody any more."""
        self._listening.shutdown(socket.SHUT_RDWR)
        self._thread.join(LIMIT_S)
        self._listening.close()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listening.accept()
            except OSError:
                return
            self.connections_count += 1
            with connection:
                connection.settimeout(LIMIT_S)
                for answer in self.says.pop(0):
                    self._hear(connection)
                    for piece in answer.split(b"|"):  # each comes by itself
                        connection.sendall(piece)
                        time.sleep(0.002)  # what is sent at once may come at once

    def _hear(self, connection: socket.socket) -> None:
        heard = b""
        while b"\r\n\r\n" not in heard:
            piece = connection.recv(65536)
            if not piece:
                return
            heard += piece
        self.heard.append(heard)


class Notes:
    """A recorder that keeps all."""

    body_limit_bytes = 1000

    def __init__(self) -> None:
        self.exchanges: list[Exchange] = []

    def note(self, exchange: Exchange) -> None:
        """Keep it."""
        self.exchanges.append(exchange)


@pytest.fixture
def site() -> Iterator[Site]:
    """A site on loopback."""
    made = Site()
    yield made
    made.close()


def client(*, is_plain: bool = True, notes: Notes | None = None) -> Http:
    """Return a client that leaves robots.txt alone; not `is_plain`: one that goes by httpx."""
    http = Http(script_name="test", ends_at=time.monotonic() + LIMIT_S, recorder=notes)
    http.has_robots = False
    if not is_plain:
        assert http.headers  # may be changed from now on
    return http


def outcome(site: Site, says: list[bytes], path: str, *, is_plain: bool, **options: Any) -> Any:
    """Return what comes of an address, and what is recorded of it."""
    site.says = [list(says)]
    notes = Notes()
    http = client(is_plain=is_plain, notes=notes)
    told: Any
    try:
        page = http.get(site.url + path, tries=1, check=False, **options)
        told = (page.url, page.status, page.content, list(page.headers.items()))
    except HttpError as error:
        told = (type(error), str(error))
    http.close()
    return told, [each._replace(elapsed_s=0.0) for each in notes.exchanges]


@pytest.mark.parametrize(
    "answer",
    [
        OK + b"Content-Length: 4\r\n\r\npage",
        OK + b"Content-Type: text/html\r\nX-Two: 1\r\nx-two: 2\r\nContent-Length: 2\r\n\r\nab",
        OK + b"Content-Length: 8\r\n\r\npa|ge| an|d",
        OK + b"Content-|Length:4\r|\n\r\npage",
        OK + b"Content-Length: 0\r\n\r\n",
        OK + b"\r\nuntil the end",
        b"HTTP/1.0 200 OK\r\n\r\nold",
        b"HTTP/1.1 200\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 200 OK\nContent-Length: 1\n\na",
        OK + b"X-Odd: a\x01b \t\r\nContent-Length: 1\r\n\r\na",
        OK + b"X-Name: \xea\xb0\x80\r\nContent-Length: 1\r\n\r\na",
        OK + b"X-Empty:\r\nContent-Length: 1\r\n\r\na",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\npage\r\n3;a=b\r\n an\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4|\r\npa|ge\r|\n0|a\r\n012345678\n\r\n0\r\n|\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX-Trailer: b\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n1 \r\na\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n" + b"2\r\nab\r\n" * 30_000 + b"0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\nContent-Length: 9\r\n\r\n1\r\na\r\n0\r\n\r\n",
        OK + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n%b" % (len(PACKED), PACKED),
        b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\na",
        b"HTTP/1.1 204 No Content\r\n\r\n",
        b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno",
        b"HTTP/1.1 503 Busy\r\nRetry-After: 7\r\nContent-Length: 2\r\n\r\nno",
        OK + b"Set-Cookie: a=1; Path=/\r\nContent-Length: 4\r\n\r\npage",
        OK + b"Content-Length: 999999999\r\n\r\nmore than is allowed",
        OK + b"Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Encoding: br\r\nContent-Length: 3\r\n\r\nabc",
        OK + b"Content-Length: 9\r\n\r\ncut off",
    ],
)
def test_answer_is_what_httpx_makes_of_it(site: Site, answer: bytes) -> None:
    """Address, status, headers, body, what is recorded, and errors word for word."""
    by_httpx = outcome(site, [answer], "/", is_plain=False)

    assert outcome(site, [answer], "/", is_plain=True) == by_httpx
    assert site.heard[0] == site.heard[1]


@pytest.mark.parametrize(
    ("head", "body"),
    [
        (b"Transfer-Encoding: CHUNKED", b"4\r\npage\r\n0\r\n\r\n"),
        (b"Content-Length: 4 ", b"page"),
        (b"X-Long: one\r\n  two\r\nContent-Length: 4", b"page"),
    ],
)
def test_head_is_understood_in_other_spellings(site: Site, head: bytes, body: bytes) -> None:
    """Whatever the header looks like that is handed on."""
    site.says = [[OK + head + b"\r\n\r\n" + body]]

    http = client()
    page = http.get(site.url, tries=1)
    assert page.content == b"page"
    assert page.headers.get("X-Long", "one two").split() == ["one", "two"]
    http.close()


@pytest.mark.parametrize(
    "head", [b"Content-Length: 4, 4", b"Content-Length: 4\r\nContent-Length: 4"]
)
def test_what_only_httpx_can_read_it_is_asked_for_next_time(site: Site, head: bytes) -> None:
    """A try is one question, and is recorded; from then on this site is httpx's."""
    answer = OK + head + b"\r\n\r\npage"
    site.says = [[answer], [answer, answer]]
    notes = Notes()
    http = client(notes=notes)

    assert [http.get(site.url, tries=2).content for _ in range(2)] == [b"page"] * 2
    http.close()
    assert len(site.heard) == 3
    errors = [each.error.partition(":")[0] for each in notes.exchanges]
    assert errors == ["RemoteProtocolError", "", ""]


def test_what_httpx_goes_on_with_is_recorded_once(site: Site) -> None:
    """Though it fails there; and the connection that it came by is not forgotten."""
    site.says = [[b"HTTP/1.1 302 Found\r\nLocation: ftp://127.0.0.1/\r\nContent-Length: 0\r\n\r\n"]]
    notes = Notes()
    http = client(notes=notes)

    with pytest.raises(HttpError, match="UnsupportedProtocol"):
        http.get(site.url, tries=1)
    http.close()
    assert len(notes.exchanges) == 1


def test_address_may_be_one_of_httpx(site: Site) -> None:
    """As it may for httpx itself."""
    site.says = [[OK + b"Content-Length: 1\r\n\r\na"]]

    http = client()
    assert http.get(httpx.URL(site.url)).content == b"a"  # type: ignore[arg-type]
    http.close()


def test_closed_client_asks_nobody(site: Site) -> None:
    """As httpx's own."""
    http = client()
    http.close()

    with pytest.raises(RuntimeError, match="closed"):
        http.get(site.url)
    assert site.heard == []


@pytest.mark.parametrize(
    "url",
    [
        "http://0177.0.0.1/",
        "http://127.0.0.01/",
        "http://256.1.1.1/",
        "http://1.2.3/",
        "http://12/",
        "http://xn--a/",
        "http://www.xn--a.kr/",
        "http://a..b/",
    ],
)
def test_odd_hosts_are_left_to_httpx(url: str) -> None:
    """Which refuses most of them; the resolver would take some for another address."""
    assert direct.plain(url, "agent", "gzip") is None


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"HTTP/1.1 2",
        b"SSH-2.0-OpenSSH_9.2\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"HTTP/1.1 000 OK\r\n\r\n",
        b"HTTP/1.1 099 OK\r\nContent-Length: 1\r\n\r\na",
        b"HTTP/1.1 100 Continue\r\n\r\n" * 10_000,
        OK + b"no colon\r\n\r\n",
        OK + b"a b: c\r\n\r\n",
        OK + b": c\r\n\r\n",
        OK + b"a: \0\r\n\r\n",
        OK + b" goes on: a\r\n\r\n",
        OK + b"Content-Length: 4\r\nContent-Length: 5\r\n\r\npage",
        OK + b"Content-Length: -4\r\n\r\npage",
        OK + b"Content-Length: four\r\n\r\npage",
        OK + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding:\r\n\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\npa",
        OK + b"Transfer-Encoding: chunked\r\n\r\n4\r\npages\r\n0\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\nx\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n-1\r\n\r\n",
        OK + b"Transfer-Encoding: chunked\r\n\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n",
        OK + b"X: " + b"a" * 300_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n" + b"a: b\r\n" * 60_000,
        OK + b"Transfer-Encoding: chunked\r\n\r\n1;" + b"a" * 300_000,
    ],
)
def test_what_is_no_answer_is_an_error_as_with_httpx(site: Site, answer: bytes) -> None:
    """How it is told may differ; that it is the site's fault may not."""
    (kind, told), recorded = outcome(site, [answer], "/", is_plain=True)
    (kind_by_httpx, told_by_httpx), _ = outcome(site, [answer], "/", is_plain=False)

    assert kind is kind_by_httpx is HttpError
    assert told.split(": ")[:2] == told_by_httpx.split(": ")[:2]
    assert [each.error.partition(":")[0] for each in recorded] == [told.split(": ")[1]]


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/",
        "/a/b.html",
        "/a?b=c&d=%EA%B0%80",
        "/~a;b,c@d:e/?f=g'h",
        "//a",
        "/a?",
        "?",
        "?a=b/..",
        "/(a)!$*+",
    ],
)
def test_plain_address_is_asked_as_httpx_asks_it(site: Site, path: str) -> None:
    """Word for word: a site sees no difference."""
    answer = OK + b"Content-Length: 1\r\n\r\na"
    told = [outcome(site, [answer], path, is_plain=is_plain) for is_plain in (True, False)]

    assert direct.plain(site.url + path, "agent", "gzip") is not None
    assert told[0] == told[1]
    assert site.heard[0] == site.heard[1]


@pytest.mark.parametrize(
    "params", [{"b": "c d", "e": [1, 2]}, {"b": "가&+%/?"}, {"b": ""}, {}, [("b", 1), ("b", None)]]
)
def test_parameters_are_written_by_httpx(site: Site, params: Any) -> None:
    """They take the place of those in the address."""
    answer = OK + b"Content-Length: 1\r\n\r\na"
    told = [
        outcome(site, [answer], "/a?x=y", is_plain=is_plain, params=params)
        for is_plain in (True, False)
    ]

    assert told[0] == told[1]
    assert site.heard[0] == site.heard[1]


@pytest.mark.parametrize(
    ("options", "is_asked_plainly"),
    [
        ({}, True),
        ({"params": {"a": 1}}, True),
        ({"proxy": False}, True),
        ({"headers": {"X-Own": "1"}}, False),
        ({"auth": ("name", "word")}, False),
        ({"json": {}}, False),
    ],
)
def test_what_is_not_plain_is_httpx_s(
    site: Site, options: dict[str, Any], is_asked_plainly: bool
) -> None:
    """Its client is made for that only."""
    site.says = [[OK + b"Content-Length: 1\r\n\r\na"]]
    http = client()

    assert http.get(site.url, **options).text == "a"
    assert (http._trying._made is None) == is_asked_plainly
    http.close()


@pytest.mark.parametrize(
    "url",
    [
        "https://a.example/",
        "http://A.example/",
        "HTTP://a.example/",
        "http://a.example:80/",
        "http://a.example:/",
        "http://a.example:080/",
        "http://name:word@a.example/",
        "http://[::1]/",
        "http://a.example/#b",
        "http://a.example/b/../c",
        "http://a.example/./c",
        "http://a.example/a b",
        "http://a.example/%zz",
        "http://a.example/가",
        "http://백.example/",
        'http://a.example/"',
        "http://a.example/\n",
        "http://a.example/a?b\r\nc: d",
        "http://",
        "a.example",
        "",
    ],
)
def test_other_addresses_are_left_to_httpx(url: str) -> None:
    """It puts them into order, or refuses them."""
    assert direct.plain(url, "agent", "gzip") is None


def test_connection_is_asked_again_while_it_is_open(site: Site) -> None:
    """One that the site has closed, or that has something left to say, is not."""
    page = OK + b"Content-Length: 1\r\n\r\na"
    last = OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nb"
    site.says = [[page, page, last], [page + b"|surplus"], [page + page], [page]]
    http = client()

    assert "".join(http.get(site.url).text for _ in range(3)) == "aab"
    assert site.connections_count == 1
    assert http.get(site.url).text == "a"
    idle = http.transport._connections._idle[0].socket
    assert select.select([idle], [], [], LIMIT_S)[0]  # what is left comes, and the site hangs up
    assert http.get(site.url).text == "a"
    assert http.get(site.url).text == "a"
    assert site.connections_count == 4
    http.close()


def test_body_comes_piece_by_piece(site: Site) -> None:
    """However long it is: no more is held than was heard at once."""
    body = b"0123456789abcdef" * 100_000
    site.says = [[OK + b"Content-Length: %d\r\n\r\n%b" % (len(body), body)]]
    question = direct.plain(site.url, "agent", "gzip")
    assert question is not None
    connections = direct.Connections()

    stream = connections.ask(question, LIMIT_S).stream
    pieces = list(stream)
    stream.close()
    connections.close()
    assert b"".join(pieces) == body
    assert max(map(len, pieces)) <= 65_536


def test_body_that_is_not_wanted_ends_the_connection(site: Site) -> None:
    """Nothing is read any more once an answer is closed."""
    site.says = [[OK + b"Content-Length: 9\r\n\r\ncut off"]]
    question = direct.plain(site.url, "agent", "gzip")
    assert question is not None
    connections = direct.Connections()

    stream = connections.ask(question, LIMIT_S).stream
    stream.close()
    stream.close()
    assert connections._idle == []
    with pytest.raises(httpx.StreamClosed):
        list(stream)


def test_redirect_and_cookies_go_on_by_httpx(site: Site) -> None:
    """The answer that there is already is not asked for again; cookies go along from then on."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nSet-Cookie: k=v\r\nContent-Length: 0\r\n\r\n"
    page = OK + b"Content-Length: 1\r\n\r\na"
    site.says = [[moved], [page, page]]
    notes = Notes()
    http = client(notes=notes)

    assert http.get(f"{site.url}/a").url == f"{site.url}/b"
    assert http.get(f"{site.url}/c").text == "a"
    http.close()
    asked = [each.split(b" ")[1] for each in site.heard]
    assert asked == [b"/a", b"/b", b"/c"]
    assert [b"Cookie: k=v" in each for each in site.heard] == [False, True, True]
    assert [each.url[len(site.url) :] for each in notes.exchanges] == ["/a", "/b", "/c"]


def test_redirect_that_is_not_followed_is_a_page(site: Site) -> None:
    """As with httpx."""
    moved = b"HTTP/1.1 302 Found\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n"

    by_httpx = outcome(site, [moved], "/", is_plain=False, follow=False)
    assert outcome(site, [moved], "/", is_plain=True, follow=False) == by_httpx


@pytest.mark.parametrize("is_plain", [True, False])
def test_site_that_says_nothing_is_a_timeout(site: Site, is_plain: bool) -> None:
    """And one that nobody is at an error of connecting."""
    http = client(is_plain=is_plain)
    listening = socket.create_server(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"

    with pytest.raises(HttpError, match="ReadTimeout: timed out"):
        http.get(url, timeout=0.05, tries=1)
    listening.close()
    with pytest.raises(HttpError, match=r"ConnectError: \[Errno 111\] Connection refused"):
        http.get(url, tries=1)
    http.close()


def test_what_nobody_asks_any_more_is_closed(site: Site) -> None:
    """As many are kept as httpx keeps."""
    pair = [socket.socketpair() for _ in range(25)]
    connections = direct.Connections()
    for number, (ours, _) in enumerate(pair):
        connections.keep(direct._Connection(f"host{number}", ours))

    assert [ours.fileno() for ours, _ in pair[:5]] == [-1] * 5
    assert all(ours.fileno() >= 0 for ours, _ in pair[5:])
    connections.close()
    assert all(ours.fileno() == -1 for ours, _ in pair)
    for _, theirs in pair:
        theirs.close()
