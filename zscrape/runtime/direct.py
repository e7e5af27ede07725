"""A plain GET over `http:`, by HTTP/1.1 and nothing else: what most visits of a page are.

httpx does this too. But a child has to copy every page of memory that it writes to, and httpx
goes by some hundreds of functions and objects on the way to a page, whose counts of references
lie in as many pages. What is not plain is left to it, see `plain`; it also goes on where an
answer wants more than to be read: a redirect, cookies (`Trying`).

Questions look as httpx asks them, and what fails, fails with httpx's errors.
Sources: RFC 9112, sections 2.2, 5, 6, 7 and 9; what h11 and httpcore accept.
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

# Addresses that httpx sends as they stand: nothing to put into lower case, to escape, to leave
# out (its own port, dots in the path, a fragment), no name and password, no IPv6.
_PLAIN = re.compile(
    r"http://([a-z0-9][a-z0-9.-]*(?::(?!80(?![0-9]))[1-9][0-9]{0,4})?)"
    r"((?:/(?!\.)(?:[A-Za-z0-9._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2})*)*)"
    r"((?:\?(?:[A-Za-z0-9._~!$&'()*+,;=:@/?-]|%[0-9A-Fa-f]{2})*)?)"
)
_HEAD_END = re.compile(rb"\n\r?\n")
_STATUS_LINE = re.compile(rb"HTTP/([0-9]\.[0-9]) ([1-9][0-9]{2})(?: .*)?")
_TOKEN = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_READ_BYTES = 65_536
_HEAD_LIMIT_BYTES = 100 * 1024
_IDLE_LIMIT_COUNT = 20  # as httpx has them, and so long
_IDLE_LIMIT_S = 5.0
_HTTP_PORT = 80
_BODILESS = (204, 304)

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
    """The body of an answer, as it comes; its connection is free once this is closed.

    Args:
        connections: Who has the connection next.
        connection: Where it comes from.
        held: What has come of it.
        size_bytes: How much it has; None: all until the connection ends.
        is_chunked: It comes in chunks, which say themselves how much that is.
        is_kept: The site keeps the connection open.
    """

    def __init__(
        self,
        connections: Connections,
        connection: _Connection,
        held: bytes,
        *,
        size_bytes: int | None,
        is_chunked: bool,
        is_kept: bool,
    ) -> None:
        self._connections = connections
        self._connection: _Connection | None = connection
        self._held = held
        self._at = 0  # where in `held` that begins which is not yet read
        self._size_bytes = size_bytes
        self._is_chunked = is_chunked
        self._is_kept = is_kept
        self._is_whole = size_bytes == 0 and not is_chunked

    def __iter__(self) -> Iterator[bytes]:
        if self._is_chunked:
            return self._by_chunks()
        if self._size_bytes is None:
            return self._to_the_end()
        return self._by_size(self._size_bytes)

    def close(self) -> None:
        """Give the connection back if it may be asked again, else end it."""
        connection, self._connection = self._connection, None
        if connection is None:
            return
        if self._is_whole and self._is_kept and self._at == len(self._held):
            self._connections.keep(connection)
        else:
            connection.socket.close()

    def _by_size(self, size_bytes: int) -> Iterator[bytes]:
        came_bytes = 0
        while came_bytes < size_bytes:
            piece = self._piece(size_bytes - came_bytes)
            if not piece:
                raise _cut_off(f"received {came_bytes} bytes, expected {size_bytes}")
            came_bytes += len(piece)
            self._is_whole = came_bytes == size_bytes
            yield piece

    def _to_the_end(self) -> Iterator[bytes]:
        while piece := self._piece(_READ_BYTES):
            yield piece

    def _by_chunks(self) -> Iterator[bytes]:
        while left_bytes := _size_of_chunk(self._line()):
            while left_bytes:
                piece = self._piece(left_bytes)
                if not piece:
                    raise _cut_off("incomplete chunked read")
                left_bytes -= len(piece)
                yield piece
            if self._line():
                raise httpx.RemoteProtocolError("a chunk is longer than it says")
        trailer_bytes = 0
        while line := self._line():  # what else there is to say of the answer
            trailer_bytes += len(line)
            if trailer_bytes > _HEAD_LIMIT_BYTES:
                raise httpx.RemoteProtocolError("there is too much behind the body")
        self._is_whole = True

    def _piece(self, limit_bytes: int) -> bytes:
        """Return what comes next, nothing at the end."""
        if self._at == len(self._held):
            self._held, self._at = self._receive(), 0
        piece = self._held[self._at : self._at + limit_bytes]
        self._at += len(piece)
        return piece

    def _line(self) -> bytes:
        """Return a line without its end."""
        while (end := self._held.find(b"\n", self._at)) < 0:
            self._held, self._at = self._held[self._at :], 0
            more = self._receive()
            if not more or len(self._held) > _HEAD_LIMIT_BYTES:
                raise _cut_off("incomplete chunked read")
            self._held += more
        line = self._held[self._at : end]
        self._at = end + 1
        return line.removesuffix(b"\r")

    def _receive(self) -> bytes:
        if self._connection is None:
            raise httpx.StreamClosed
        return self._connection.receive()


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
        try:
            connection.socket.settimeout(timeout_s)
            head = "".join(f"{name}: {value}\r\n" for name, value in question.headers())
            connection.send(f"GET {question.target} HTTP/1.1\r\n{head}\r\n".encode())
            return self._answer(connection)
        except BaseException:
            connection.socket.close()
            raise

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

    def _answer(self, connection: _Connection) -> Answer:
        held = b""
        while True:
            head, held = _head(connection, held)
            version, status, headers = _read(head)
            if status >= 200:
                break
            if status == 101:
                raise httpx.RemoteProtocolError("it changes to a protocol that was not asked for")
        said: dict[bytes, list[bytes]] = {}
        for name, value in headers:
            said.setdefault(name.lower(), []).append(value.lower())
        is_chunked, size_bytes = _framing(status, said)
        is_kept = version >= b"1.1" and b"close" not in _words(said.get(b"connection", ()))
        stream = Stream(
            self, connection, held, size_bytes=size_bytes, is_chunked=is_chunked, is_kept=is_kept
        )
        return Answer(status, headers, stream)


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


def _head(connection: _Connection, held: bytes) -> tuple[bytes, bytes]:
    """Return the head of an answer, and what has come of the rest."""
    while True:
        end = held.find(b"\r\n\r\n")
        if end >= 0 and held.find(b"\n\n", 0, end) < 0:
            return held[:end], held[end + 4 :]
        found = _HEAD_END.search(held)
        if found is not None:
            return held[: found.start()], held[found.end() :]
        if len(held) > _HEAD_LIMIT_BYTES:
            raise httpx.RemoteProtocolError("the head of the answer is too long")
        piece = connection.receive()
        if not piece:
            raise httpx.RemoteProtocolError("Server disconnected without sending a response.")
        held += piece


def _read(head: bytes) -> tuple[bytes, int, Headers]:
    """Return version, status and headers that a head tells."""
    first, *lines = head.split(b"\n")
    found = _STATUS_LINE.fullmatch(first.removesuffix(b"\r"))
    if found is None or b"\0" in head:
        raise httpx.RemoteProtocolError(f"illegal status line: {first[:100]!r}")
    headers: Headers = []
    for each in lines:
        line = each.removesuffix(b"\r")
        if line[:1] in b" \t" and headers:  # it goes on: an old way to break long ones
            name, value = headers[-1]
            headers[-1] = name, value + b" " + line.strip(b" \t")
            continue
        name, colon, value = line.partition(b":")
        if not colon or not name or name.translate(None, _TOKEN) or b"\r" in value:
            raise httpx.RemoteProtocolError(f"illegal header line: {line[:100]!r}")
        headers.append((name, value.strip(b" \t")))
    return found[1], int(found[2]), headers


def _framing(status: int, said: dict[bytes, list[bytes]]) -> tuple[bool, int | None]:
    """Return whether a body is chunked, and its size, None if that is not told."""
    if status in _BODILESS:
        return False, 0
    codings = _words(said.get(b"transfer-encoding", ()))
    if codings:
        if codings != {b"chunked"}:
            raise httpx.RemoteProtocolError("Only Transfer-Encoding: chunked is supported")
        return True, None
    sizes = _words(said.get(b"content-length", ()))
    if not sizes:
        return False, None
    told = sizes.pop()
    if sizes or not told.isdigit() or len(told) > 20:
        raise httpx.RemoteProtocolError("conflicting or bad Content-Length headers")
    return False, int(told)


def _words(values: list[bytes] | tuple[()]) -> set[bytes]:
    return {word.strip(b" \t") for value in values for word in value.split(b",")}


def _size_of_chunk(line: bytes) -> int:
    told = line.partition(b";")[0].rstrip(b" \t")
    if not told or len(told) > 20 or told.translate(None, b"0123456789abcdefABCDEF"):
        raise httpx.RemoteProtocolError(f"illegal chunk header: {line[:100]!r}")
    return int(told, 16)


def _cut_off(told: str) -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(
        f"peer closed connection without sending complete message body ({told})"
    )
