"""HTTP by httptools, and nothing between it and who answers.

As in ours, no task of the event loop is made for a call, and a head that is byte by byte that of
the call before on its connection is not read again.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple, TypeAlias

import httptools

BODY_LIMIT_BYTES = 1024 * 1024
_HEAD_LIMIT_BYTES = 64 * 1024
_HEAD_END = b"\r\n\r\n"
_LINES = {each.value: f"HTTP/1.1 {each.value} {each.phrase}\r\n".encode() for each in HTTPStatus}
_HEAD = b"%bcontent-type: application/json\r\n%b%bcontent-length: %d\r\n\r\n%b"


class Request(NamedTuple):
    """The head of a call."""

    method: bytes
    path: bytes
    headers: dict[bytes, bytes]  # names in lower case
    keep_alive: bool


Take: TypeAlias = "Callable[[Connection, Request, bytes], None]"


class Connection(asyncio.Protocol):
    """One connection. `take` hears of a call once its body is whole, and `answer`s it whenever."""

    def __init__(self, take: Take) -> None:
        self._take = take
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
        self._transport: asyncio.WriteTransport = transport  # type: ignore[assignment]

    def connection_lost(self, _error: Exception | None) -> None:
        """Note that nobody waits any more."""
        self.is_gone = True
        self._waiting.clear()

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
        if self._size_bytes > BODY_LIMIT_BYTES + _HEAD_LIMIT_BYTES:
            self._refuse(413)

    def on_message_begin(self) -> None:
        """Begin a request."""
        self._is_between = False
        self._path, self._headers, self._parts = b"", {}, []

    def on_url(self, url: bytes) -> None:
        """Take a part of its address."""
        self._path += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header."""
        self._headers[name.lower()] = value

    def on_body(self, body: bytes) -> None:
        """Take a part of its body."""
        self._parts.append(body)

    def on_message_complete(self) -> None:
        """Have it answered, after those that came before it."""
        self._is_between, self._size_bytes = True, 0
        body = b"".join(self._parts)
        parser = self._parser
        request = Request(
            parser.get_method(), self._path, self._headers, parser.should_keep_alive()
        )
        raw, end = self._raw, len(self._raw) - len(body)
        is_whole = end > 0 and raw.find(_HEAD_END) == end - len(_HEAD_END) and raw.endswith(body)
        self._raw, self._length = (raw[:end], len(raw)) if is_whole else (b"", -1)
        self._request = request
        if self._is_answering:
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
        told = _HEAD % (_LINES[status], lines, closing, len(body), body)
        self._transport.write(told)
        self._is_answering = False
        if not is_kept:
            self._transport.close()
        elif self._waiting:
            self._begin(*self._waiting.popleft())

    def _refuse(self, status: int) -> None:
        if not self._transport.is_closing():
            head = b"%bconnection: close\r\ncontent-length: 0\r\n\r\n" % _LINES[status]
            self._transport.write(head)
            self._transport.close()
