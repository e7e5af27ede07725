"""HTTP by httptools, and nothing between it and who answers.

As in ours, no task of the event loop is made for a call, and a head that is byte by byte that of
the call before on its connection is not read again.
"""

from __future__ import annotations

import asyncio
from asyncio import AbstractEventLoop
from collections import deque
from collections.abc import Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import TypeAlias

import httptools
from msgspec import Struct

from bench.floors.ladder.asked import presented_in
from zscrape.gateway.shield import LOOPBACK_HOSTS, ShieldPolicy, is_ours
from zscrape.gateway.tracing import trace_of

BODY_LIMIT_BYTES = 1024 * 1024
_HEAD_LIMIT_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_HEAD = b"%bcontent-type: application/json\r\n%b%b%bcontent-length: %d\r\n\r\n%b"
_STANDING = (
    b"x-content-type-options: nosniff\r\nreferrer-policy: no-referrer\r\nx-frame-options: DENY\r\n"
    b"content-security-policy: default-src 'none'; frame-ancestors 'none'\r\n"
    b"cross-origin-resource-policy: same-origin\r\ncache-control: no-store\r\n"
)
_SHIELD = ShieldPolicy(hosts=LOOPBACK_HOSTS)
_TICK_S = 1.0
_CONNECTION_COUNT = 1024
# How long may last: a head, a body, rest, and not to read an answer.
_HEAD_S, _BODY_S, _REST_S, _STALL_S = 10.0, 30.0, 5.0, 60.0


class Request(Struct, frozen=True):
    """The head of a call."""

    path: bytes
    headers: dict[bytes, bytes]  # names in lower case
    keep_alive: bool
    digest: bytes  # of the key that it carries
    trace_id: str


Take: TypeAlias = "Callable[[Connection, Request, bytes], None]"


class Door:
    """What all connections share: the lines of every answer, and from `DOOR` on limits.

    One look a second at all of them stands for a timer of each: `now` is the time of the last.
    """

    def __init__(self, loop: AbstractEventLoop, *, has_limits: bool) -> None:
        self._loop, self.has_limits = loop, has_limits
        self.lines, self.now = b"", 0.0
        self.connections: set[Connection] = set()
        if has_limits:
            self._tick()

    def _tick(self) -> None:
        self._loop.call_later(_TICK_S, self._tick)
        self.now = self._loop.time()
        self.lines = b"date: %b\r\n%b" % (formatdate(usegmt=True).encode(), _STANDING)
        for each in [*self.connections]:
            each.look(self.now)

    def enter(self, connection: Connection) -> bool:
        """Note a connection; False if it is one too many."""
        self.connections.add(connection)
        return not self.has_limits or len(self.connections) <= _CONNECTION_COUNT


class Connection(asyncio.Protocol):
    """One connection. `take` hears of a call once its body is whole, and `answer`s it whenever."""

    def __init__(self, take: Take, door: Door) -> None:
        self._take, self._door = take, door
        self._since = door.now  # when it began with what it does now
        self._limit_s = _HEAD_S
        self._parser = httptools.HttpRequestParser(self)
        self._path = b""
        self._headers: dict[bytes, bytes] = {}
        self._parts: list[bytes] = []
        self._size_bytes = 0  # of what is being read
        self._waiting: deque[tuple[Request, bytes]] = deque()  # behind the one that is answered
        self._is_answering = False
        self._is_between = True  # nothing of another request has been read
        self._request: Request | None = None  # the last one
        self._raw, self._length = b"", 0  # its head, if it came in one piece; and all of it
        self.is_gone = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a connection in."""
        self._transport: asyncio.Transport = transport  # type: ignore[assignment]
        if not self._door.enter(self):
            self._refuse(503)

    def connection_lost(self, _error: Exception | None) -> None:
        """Note that nobody waits any more."""
        self.is_gone = True
        self._waiting.clear()
        self._door.connections.discard(self)

    def pause_writing(self) -> None:
        """Hear no further request of one who does not read."""
        self._transport.pause_reading()
        self._since, self._limit_s = self._door.now, _STALL_S

    def resume_writing(self) -> None:
        """Go on."""
        self._transport.resume_reading()
        self._since, self._limit_s = self._door.now, _REST_S

    def look(self, now: float) -> None:
        """End what takes too long; an answer that is not there yet is not this one's fault."""
        is_stalled = self._limit_s == _STALL_S
        if now - self._since > self._limit_s and (is_stalled or not self._is_answering):
            self._transport.abort()

    def data_received(self, data: bytes) -> None:
        """Read on."""
        is_fresh = self._is_between and not self._is_answering
        request = self._request
        if is_fresh and request and len(data) == self._length and data.startswith(self._raw):
            self._begin(request, data[len(self._raw) :])
            return
        self._raw = data if is_fresh else b""
        self._size_bytes += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._refuse(400)
            return
        limit_bytes = _HEAD_LIMIT_BYTES + (0 if self._limit_s == _HEAD_S else BODY_LIMIT_BYTES)
        if self._size_bytes > limit_bytes:
            self._refuse(413)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_between = False
        self._path, self._headers, self._parts = b"", {}, []
        self._since, self._limit_s = self._door.now, _HEAD_S

    def on_url(self, url: bytes) -> None:
        """Take a part of its address."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_headers_complete(self) -> None:
        """Give the body its own time."""
        self._limit_s = _BODY_S

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Have it answered, after those that came before it."""
        self._is_between, self._size_bytes = True, 0
        body = b"".join(self._parts)
        headers, keep_alive = self._headers, self._parser.should_keep_alive()
        digest, trace_id = presented_in(headers), trace_of(headers)
        request = Request(self._path, headers, keep_alive, digest, trace_id)
        raw, end = self._raw, len(self._raw) - len(body)
        is_whole = end > 0 and raw.find(_HEAD_END) == end - len(_HEAD_END) and raw.endswith(body)
        self._raw, self._length = (raw[:end], len(raw)) if is_whole else (b"", -1)
        self._request = request
        self._limit_s = _REST_S
        if self._door.has_limits and not is_ours(request.headers, _SHIELD):
            self._refuse(421)
        elif self._is_answering:
            self._waiting.append((request, body))
        else:
            self._begin(request, body)

    def _begin(self, request: Request, body: bytes) -> None:
        self._is_answering = True
        if len(body) > BODY_LIMIT_BYTES:
            self._refuse(413)
        else:
            self._take(self, request, body)

    def answer(self, status: int, body: bytes, lines: bytes = b"") -> None:
        """Answer the request that was taken last; `lines` are further headers."""
        if self.is_gone:
            return
        request = self._request
        is_kept = request is None or request.keep_alive
        closing = b"" if is_kept else b"connection: close\r\n"
        door = self._door
        told = _HEAD % (_LINES[status], door.lines, lines, closing, len(body), body)
        self._transport.write(told)
        self._is_answering, self._since = False, door.now
        if not is_kept:
            self._transport.close()
        elif self._waiting:
            self._begin(*self._waiting.popleft())

    def stream(self) -> None:
        """Begin an answer that is `say`'d bit by bit until its `end`."""
        lines = b"%bcontent-type: text/event-stream\r\nconnection: close\r\n%b\r\n"
        self._transport.write(lines % (_LINES[200], self._door.lines))

    def say(self, data: bytes) -> None:
        """Go on with an answer."""
        if not self.is_gone:
            self._transport.write(data)

    def end(self) -> None:
        """End it."""
        self._transport.close()

    def _refuse(self, status: int) -> None:
        if not self._transport.is_closing():
            head = b"%bconnection: close\r\ncontent-length: 0\r\n\r\n" % _LINES[status]
            self._transport.write(head)
            self._transport.close()
