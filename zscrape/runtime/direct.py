"""A plain GET over `http:`, by HTTP/1.1 and nothing else: what most visits of a page are.

httpx does this too. But a child has to copy every page of memory that it writes to, and httpx
goes by some hundreds of functions and objects on the way to a page, whose counts of references
lie in as many pages. What is not plain is left to it, see `plain`; it also goes on where an
answer wants more than to be read: a redirect, cookies (`Trying`).

Questions look as httpx asks them, and what fails, fails with httpx's errors. Answers are read by
llhttp, in C, where httpx has h11. What both take, they read alike, but for the blanks of a header
that goes on in the next line. llhttp alone takes empty lines before an answer, blanks before a
colon or an empty line, odd reasons, and the name RTSP for HTTP. It alone refuses an answer that
tells its Content-Length twice, be it the same one: whoever answers so is `illegible`, and httpx's
from then on.
"""

from __future__ import annotations

import re
import select
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

# Addresses that httpx sends as they stand: nothing to put into lower case, to escape, to leave
# out (its own port, dots in the path, a fragment), no name and password, no IPv6, and nothing to
# look at twice: numbers that are no IPv4 address, names in Punycode.
_OCTET = r"(?:25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])"
_PLAIN = re.compile(
    r"http://((?!(?:[a-z0-9-]+\.)*xn--)"
    rf"(?:(?:{_OCTET}\.){{3}}{_OCTET}|(?:[a-z0-9][a-z0-9-]*\.)*[a-z][a-z0-9-]*)"
    r"(?::(?!80(?![0-9]))[1-9][0-9]{0,4})?)"
    r"((?:/(?!\.)(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
    r"((?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)"
)
_READ_BYTES = 65_536
_HEAD_LIMIT_BYTES = 100 * 1024
_IDLE_LIMIT_COUNT = 20  # as httpx has them, and so long
_IDLE_LIMIT_S = 5.0
_HTTP_PORT = 80
_SIZE, _CODING = b"content-length", b"transfer-encoding"

Headers = list[tuple[bytes, bytes]]
Connect = Callable[[str, int, float], socket.socket]


class Question(NamedTuple):
    """A plain GET."""

    url: str
    host: str  # with the port, where the address tells one
    target: str
    agent: str
    codings: str

    def headers(self) -> list[tuple[str, str]]:
        """Return what goes along, in httpx's order."""
        return [
            ("Host", self.host),
            ("Accept", "*/*"),
            ("Connection", "keep-alive"),
            ("User-Agent", self.agent),
            ("Accept-Encoding", self.codings),
        ]


class Answer(NamedTuple):
    """How a site has answered; the body is still to come."""

    status: int
    headers: Headers
    stream: httpx.SyncByteStream


class Stream(httpx.SyncByteStream):
    """One answer: the head, then the body as it comes; its connection is free once it is closed.

    llhttp tells what it reads by the methods `on_...`, out of `_hear`.

    Args:
        connections: Who has the connection next.
        connection: Where it comes from.
    """

    def __init__(self, connections: Connections, connection: _Connection) -> None:
        self.status = 0  # until the head is there
        self.headers: Headers = []
        self._connections = connections
        self._connection: _Connection | None = connection
        self._parser = HttpResponseParser(self)
        self._parser.set_dangerous_leniencies(  # to who hands answers on; h11 has them, too
            lenient_headers=True,
            lenient_chunked_length=True,
            lenient_optional_cr_before_lf=True,
            lenient_spaces_after_chunk_size=True,
        )
        self._pieces: list[bytes] = []  # of the body: heard, not yet handed out
        self._bodiless_bytes = 0  # heard since there was a piece
        self._size: bytes | None = None  # as the head tells it
        self._is_chunked = False
        self._is_kept = False
        self._is_whole = False

    def __iter__(self) -> Iterator[bytes]:
        came_bytes = 0
        while True:
            if self._pieces:
                piece = b"".join(self._pieces)
                self._pieces.clear()
                came_bytes += len(piece)
                yield piece
            if self._is_whole:
                return
            if not self._hear():
                break
        if self._is_chunked:
            raise _cut_off("incomplete chunked read")
        if self._size is not None:
            raise _cut_off(f"received {came_bytes} bytes, expected {int(self._size)}")

    def close(self) -> None:
        """Give the connection back if it may be asked again, else end it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        del self._parser  # it knows us, too
        if self._is_whole and self._is_kept:
            self._connections.keep(connection)
        else:
            connection.socket.close()

    def read_head(self) -> None:
        """Read until the status and the headers are there.

        Raises:
            httpx.TransportError: There are none, or they tell of what was not asked for.
        """
        while not self.status:
            if not self._hear():
                raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        why = f"illegal status: {self.status}" if self.status < 200 else ""
        for name, value in self.headers:
            if b"\0" in value:
                why = f"illegal header line: {name!r}"
            elif len(name) == len(_SIZE) and name.lower() == _SIZE:
                self._size = value
            elif len(name) == len(_CODING) and name.lower() == _CODING:
                self._is_chunked = True
                if value.lower() != b"chunked":
                    why = "Only Transfer-Encoding: chunked is supported"
        if why:
            self._is_kept = False
            raise httpx.RemoteProtocolError(why)

    def on_message_begin(self) -> None:
        """Refuse to read what stands behind the answer."""
        if self._is_whole:
            raise httpx.RemoteProtocolError("there is more than one answer")

    def on_header(self, name: bytes, value: bytes) -> None:
        """Keep a header; those behind the body are nobody's."""
        if not self.status:
            self.headers.append((name, value.strip(b" \t")))

    def on_headers_complete(self) -> None:
        """Know how it is answered, unless the answer is still to come."""
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers.clear()
            return
        self.status = status
        self._is_kept = self._parser.should_keep_alive()  # at the end llhttp knows no more

    def on_body(self, piece: bytes) -> None:
        """Keep a piece of the body."""
        if self.status:
            self._pieces.append(piece)

    def on_message_complete(self) -> None:
        """Know that nothing is missing."""
        self._is_whole = self.status > 0

    def _hear(self) -> bool:
        """Read what comes next; False: the connection has ended."""
        if self._connection is None:
            raise httpx.StreamClosed
        heard = self._connection.receive()
        if not heard:
            return False
        try:
            self._parser.feed_data(heard)
        except (HttpParserError, HttpParserUpgrade) as error:
            self._is_kept = False
            if not self._is_whole:
                self._connections.illegible.add(self._connection.host)
                raise httpx.RemoteProtocolError(f"not HTTP/1.1: {error}") from error
        self._bodiless_bytes = 0 if self._pieces else self._bodiless_bytes + len(heard)
        if self._bodiless_bytes > _HEAD_LIMIT_BYTES and not self._is_whole:
            raise httpx.RemoteProtocolError("there is too much around the body")
        return True


class _Connection:
    """A connection to a site."""

    __slots__ = ("host", "idle_since", "socket")

    def __init__(self, host: str, connected: socket.socket) -> None:
        self.host = host
        self.socket = connected
        self.idle_since = 0.0  # monotonic seconds

    def receive(self) -> bytes:
        """Return what comes next, nothing at the end."""
        try:
            return self.socket.recv(_READ_BYTES)
        except TimeoutError as error:
            raise httpx.ReadTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ReadError(str(error)) from error

    def send(self, data: bytes) -> None:
        """Send; that the other side listens no more is no error: it may have answered."""
        try:
            self.socket.sendall(data)
        except TimeoutError as error:
            raise httpx.WriteTimeout(str(error)) from error
        except OSError:
            return

    def is_good(self) -> bool:
        """True iff it may still be asked: a site that says something now says good-bye."""
        if time.monotonic() - self.idle_since > _IDLE_LIMIT_S:
            return False
        poll = select.poll()
        poll.register(self.socket, select.POLLIN)
        return not poll.poll(0)


class Connections:
    """Who asks, and keeps what is open for the next question; for several threads."""

    def __init__(self) -> None:
        self.connect: Connect = _connected
        self.illegible: set[str] = set()  # hosts whose answers only httpx may be able to read
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()

    def ask(self, question: Question, timeout_s: float) -> Answer:
        """Ask, and return the answer, its body still to come.

        Args:
            question: What is asked.
            timeout_s: For each step: to connect, to send, to hear more.

        Raises:
            httpx.TransportError: There is none.
        """
        connection = self._taken(question.host) or self._new(question.host, timeout_s)
        stream = Stream(self, connection)
        try:
            connection.socket.settimeout(timeout_s)
            head = "".join(f"{name}: {value}\r\n" for name, value in question.headers())
            connection.send(f"GET {question.target} HTTP/1.1\r\n{head}\r\n".encode())
            stream.read_head()
        except BaseException:
            stream.close()
            raise
        return Answer(stream.status, stream.headers, stream)

    def keep(self, connection: _Connection) -> None:
        """Take back a connection that has nothing more to say."""
        connection.idle_since = time.monotonic()
        with self._lock:
            self._idle.append(connection)
            oldest = self._idle.pop(0) if len(self._idle) > _IDLE_LIMIT_COUNT else None
        if oldest is not None:
            oldest.socket.close()

    def close(self) -> None:
        """Close what nobody uses."""
        with self._lock:
            idle, self._idle = self._idle, []
        for each in idle:
            each.socket.close()

    def _taken(self, host: str) -> _Connection | None:
        """Return an open connection to a host, the one that has been used last."""
        while True:
            with self._lock:
                found = next((each for each in reversed(self._idle) if each.host == host), None)
                if found is None:
                    return None
                self._idle.remove(found)
            if found.is_good():
                return found
            found.socket.close()

    def _new(self, host: str, timeout_s: float) -> _Connection:
        name, _, port = host.partition(":")
        try:
            return _Connection(host, self.connect(name, int(port or _HTTP_PORT), timeout_s))
        except TimeoutError as error:
            raise httpx.ConnectTimeout(str(error)) from error
        except OSError as error:
            raise httpx.ConnectError(str(error)) from error


def plain(url: str, agent: str, codings: str) -> Question | None:
    """Return a GET of an address if httpx would ask it word for word like that."""
    found = _PLAIN.fullmatch(url)
    if found is None:
        return None
    host, path, query = found.groups()
    return Question(url, host, (path or "/") + query, agent, codings)


def _connected(host: str, port: int, timeout_s: float) -> socket.socket:
    made = socket.create_connection((host, port), timeout_s)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return made


def _cut_off(told: str) -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(
        f"peer closed connection without sending complete message body ({told})"
    )
