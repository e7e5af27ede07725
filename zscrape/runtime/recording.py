"""What an attempt has asked sites and was answered, kept for the case that it fails.

It is told once, with the failure, as one compressed JSON document:

    {"exchanges": [{"method", "url", "request_headers", "request_body", "status", "headers",
      "body", "is_cut", "error", "elapsed_s"}, ...], "dropped_count", "page": {"url", "html"},
      "screenshot", "environment": {"python", "platform", "zscrape"}}

A body is `{"text": ...}` where it is UTF-8, else `{"base64": ...}`. What is kept is bounded:
the oldest exchanges go first. Keys and cookies are not kept at all.
"""

from __future__ import annotations

import base64
import re
import sys
import threading
import zlib
from collections import deque
from typing import TYPE_CHECKING, Any

from zscrape.runtime.encode import to_json

if TYPE_CHECKING:
    from zscrape.runtime.gate import Exchange

LIMIT_BYTES = 1024 * 1024  # of what is told, compressed
PLAIN_LIMIT_BYTES = 16 * 1024 * 1024  # of the document that it is made of
CONTENT_TYPE = "application/x-zscrape-recording"
MASK = "********"
BODY_LIMIT_BYTES = 256 * 1024
_KEPT_BYTES = 2 * 1024 * 1024  # of bodies
_EXCHANGES_COUNT = 200
_PAGE_LIMIT_CHARACTERS = 1024 * 1024
_SCREENSHOT_LIMIT_BYTES = 512 * 1024
_EXCHANGE_OVERHEAD_BYTES = 1000
_SECRET_HEADERS = frozenset(
    (
        *("authorization", "proxy-authorization", "cookie", "set-cookie", "x-api-key"),
        *("x-auth-token", "x-access-token", "x-csrf-token", "x-amz-security-token"),
    )
)
_USER = re.compile(r"(?<=://)[^/?#@]+(?=@)")
_QUERY = re.compile(
    r"(?i)(?<=[?&;])((?:[a-z0-9_.-]*[_-])?"
    r"(?:api_?key|key|token|secret|password|passwd|signature|sig|auth)=)[^&#;]+"
)


class Recording:
    """The latest exchanges of an attempt. Several threads may note."""

    body_limit_bytes = BODY_LIMIT_BYTES

    def __init__(self) -> None:
        self._exchanges: deque[Exchange] = deque()
        self._size_bytes = 0
        self._dropped_count = 0
        self._page: dict[str, str] | None = None
        self._screenshot = b""
        self._lock = threading.Lock()

    def note(self, exchange: Exchange) -> None:
        """Keep one exchange, in place of the oldest where there is no room."""
        with self._lock:
            self._exchanges.append(exchange)
            self._size_bytes += _size_of(exchange)
            while self._size_bytes > _KEPT_BYTES or len(self._exchanges) > _EXCHANGES_COUNT:
                self._drop()

    def note_page(self, url: str, html: str) -> None:
        """Keep what a browser shows."""
        self._page = {"url": safe_url(url), "html": html[:_PAGE_LIMIT_CHARACTERS]}

    def note_screenshot(self, picture: bytes) -> None:
        """Keep a picture of what a browser shows; one that is too large is not."""
        if len(picture) <= _SCREENSHOT_LIMIT_BYTES:
            self._screenshot = picture

    def packed(self) -> bytes:
        """Return what is told; empty if there is nothing to tell."""
        with self._lock:
            while self._exchanges or self._page is not None or self._screenshot:
                told = zlib.compress(to_json(self._document()))
                if len(told) <= LIMIT_BYTES:
                    return told
                if self._exchanges:
                    for _ in range((len(self._exchanges) + 1) // 2):
                        self._drop()
                else:
                    self._page, self._screenshot = None, b""
        return b""

    def _drop(self) -> None:
        self._size_bytes -= _size_of(self._exchanges.popleft())
        self._dropped_count += 1

    def _document(self) -> dict[str, Any]:
        return {
            "exchanges": [_told(each) for each in self._exchanges],
            "dropped_count": self._dropped_count,
            "page": self._page,
            "screenshot": base64.b64encode(self._screenshot).decode() or None,
            "environment": _environment(),
        }


def safe_url(url: str) -> str:
    """Return an address without the keys in it; a replay asks for it in the same form."""
    return _QUERY.sub(rf"\1{MASK}", _USER.sub(MASK, url))


def safe_headers(headers: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """Return headers without keys and cookies."""
    return [(name, MASK if name.lower() in _SECRET_HEADERS else value) for name, value in headers]


def _size_of(exchange: Exchange) -> int:
    return len(exchange.body) + len(exchange.request_body) + _EXCHANGE_OVERHEAD_BYTES


def _told(exchange: Exchange) -> dict[str, Any]:
    return {
        "method": exchange.method,
        "url": safe_url(exchange.url),
        "request_headers": safe_headers(exchange.request_headers),
        "request_body": _body(exchange.request_body),
        "status": exchange.status,
        "headers": safe_headers(exchange.headers),
        "body": _body(exchange.body),
        "is_cut": exchange.is_cut,
        "error": exchange.error,
        "elapsed_s": round(exchange.elapsed_s, 6),
    }


def _body(body: bytes) -> dict[str, str]:
    try:
        return {"text": body.decode()}
    except UnicodeDecodeError:
        return {"base64": base64.b64encode(body).decode()}


def _environment() -> dict[str, str]:
    from zscrape import __version__

    python = ".".join(map(str, sys.version_info[:3]))
    return {"python": python, "platform": sys.platform, "zscrape": __version__}
