"""Sessions of browsers: a link that works once gives a cookie that lasts for a day's work.

Both are random and kept as hashes, in memory: a restart signs everybody out.
"""

from __future__ import annotations

import secrets
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from zscrape.errors.requests import CrossSite
from zscrape.gateway.clients import Client

LINK_S: Final = 600.0  # from the terminal to the browser
SESSION_S: Final = 12 * 3600.0
_TOKEN_BYTES: Final = 24
_LINK_LIMIT_COUNT: Final = 100
_SESSION_LIMIT_COUNT: Final = 1_000
_SAFE: Final = frozenset({"GET", "HEAD", "OPTIONS"})


class _Held(Struct, frozen=True):
    client: Client
    until: float


class Sessions:
    """Links that nobody has used yet, and browsers that are signed in."""

    def __init__(self) -> None:
        self._links: OrderedDict[bytes, _Held] = OrderedDict()  # the oldest first
        self._sessions: OrderedDict[bytes, _Held] = OrderedDict()

    def new_link(self, client: Client, now: float) -> str:
        """Return a code that signs in as this client, once."""
        return _hold(self._links, client, now + LINK_S, _LINK_LIMIT_COUNT)

    def redeem(self, code: str, now: float) -> tuple[str, Client] | None:
        """Return a new session's token for a code; None for one that is used, old or unknown."""
        held = self._links.pop(_digest(code), None)
        if held is None or held.until <= now:
            return None
        return _hold(
            self._sessions, held.client, now + SESSION_S, _SESSION_LIMIT_COUNT
        ), held.client

    def find(self, token: str, now: float) -> Client | None:
        """Return who is signed in by a session's token."""
        held = self._sessions.get(_digest(token))
        return held.client if held is not None and now < held.until else None

    def end(self, token: str) -> None:
        """Sign out."""
        self._sessions.pop(_digest(token), None)


def _hold(held: OrderedDict[bytes, _Held], client: Client, until: float, limit_count: int) -> str:
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    if client.until is not None:
        until = min(until, client.until)
    held[_digest(token)] = _Held(client, until)
    if len(held) > limit_count:
        held.popitem(last=False)
    return token


def _digest(token: str) -> bytes:
    return sha256(token.encode("utf-8", "replace")).digest()


def cookie_in(headers: Mapping[bytes, bytes], name: str) -> str:
    """Return the value of a cookie, or an empty text."""
    for part in headers.get(b"cookie", b"").decode("latin-1").split(";"):
        key, _, value = part.strip().partition("=")
        if key == name:
            return value
    return ""


def check_origin(headers: Mapping[bytes, bytes], method: str) -> None:
    """Refuse a call that changes something and was not made by a page of this gateway.

    A browser adds the cookie to calls of other pages too; `Origin` says whose they are, and a
    header of one's own cannot be added by other pages without being asked first.

    Raises:
        CrossSite: It was made by another site's page, or nothing says by whose.
    """
    if method in _SAFE:
        return
    origin = headers.get(b"origin")
    if origin is None:
        if b"x-requested-with" not in headers:
            raise CrossSite(origin="-")
        return
    told = origin.decode("latin-1")
    host = headers.get(b"host", b"").decode("latin-1")
    if not host or urlsplit(told).netloc.lower() != host.lower():
        raise CrossSite(origin=told[:200])
