"""What a template with an HTTP client does once, so that no child of it has to.

All that a visit of a page needs is loaded, and whole visits are made, to a site that is only a
pair of sockets with the answer already in it: what runs often is specialised by then, types and
attributes are cached. A child writes to the fewer pages of memory the less is left to it.
"""

from __future__ import annotations

import gzip
import os
import socket
import time
from typing import TYPE_CHECKING, Any

import httpcore
from httpcore import SyncBackend

from zscrape.runtime import asking, ctx_http  # noqa: F401 - asking: what a gate does it by
from zscrape.runtime.budget import Budget
from zscrape.runtime.recording import Recording

if TYPE_CHECKING:
    from collections.abc import Iterable

# The interpreter specialises what has run eight times (Python 3.11); each of these is two visits.
_ROUNDS_COUNT = 8
_URL = "http://warm.example/"
_BODY = b"""<!doctype html><html><head><meta charset=utf-8><title>Warm</title></head><body>
<table><tr><th>name<th>price</tr><tr><td>tea<td>2</tr></table>
<ul><li class=row id=a><a href='/x?page=2'>tea</a><li class=row><a href='/y'>cake</a></ul>"""
_PLAIN = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: %d\r\n\r\n%b"
)
_CHUNKED = (
    b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Encoding: gzip\r\n"
    b"Set-Cookie: warm=1; Path=/\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%b\r\n0\r\n\r\n"
)
_SAID: dict[str, dict[str, Any]] = {"site": {"sites": []}, "robots": {"text": ""}}


class _Site(SyncBackend):
    """Answers before it is asked."""

    def __init__(self, answers: bytes) -> None:
        self._answers = answers
        self._ends: list[socket.socket] = []

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        """Return a connection that goes nowhere."""
        ours, theirs = socket.socketpair()
        theirs.sendall(self._answers)
        self._ends.append(theirs)
        return _stream(ours)

    def close(self) -> None:
        """Let go of the other ends."""
        for each in self._ends:
            each.close()


def _stream(end: socket.socket) -> httpcore.NetworkStream:
    from httpcore._backends.sync import SyncStream  # what the engine itself makes of a socket

    return SyncStream(end)


def warm() -> None:
    """Load and try out everything that a request and a page need, before the first fork."""
    load()
    packed = gzip.compress(_BODY)
    answers = (_PLAIN % (len(_BODY), _BODY), _CHUNKED % (len(packed), packed))
    for number in range(2 * _ROUNDS_COUNT):
        _visit(answers[number % 2] * 2)


def load() -> None:
    """Load what a request and a page need: all that is of use where nothing is forked."""
    import asyncio  # noqa: F401 - for scripts that are asynchronous
    import csv  # noqa: F401 - what scrapers import next
    import datetime as dt  # noqa: F401
    import html  # noqa: F401

    # What a script may call of `ctx` and of a page: half a megabyte here, or in each child that
    # does as much work as a page takes.
    from zscrape.runtime import (  # noqa: F401
        artifacts,
        asynchronous,
        coroutine,
        downloads,
        emitting,
        forms,
        person,
        session,
        state,
        tables,
    )

    if os.environ.get("SSL_CERT_FILE") or os.environ.get("SSL_CERT_DIR"):
        ctx_http.tls_context()  # a confined child can no longer read what these name
    # A name of other than ASCII needs codecs that a limited child may no longer load.
    "백.example".encode("idna")


def _ask(kind: str, _body: Any, *, timeout_s: float | None = None) -> Any:
    del timeout_s
    return _SAID[kind]


def visit_ahead() -> None:
    """Get a page as most scripts do, in a child that waits: see `rehearsal.rehearse_ahead`."""
    _visit(_PLAIN % (len(_BODY), _BODY), (_URL,), is_plain=True)


def _visit(
    answers: bytes,
    addresses: tuple[str, ...] = (_URL, f"{_URL}page?number=2"),
    *,
    is_plain: bool = False,
) -> None:
    """Get pages by a client of its own as a script does, one after the other."""
    ends_at = time.monotonic() + ctx_http.TIMEOUT_S
    http = ctx_http.Http(
        script_name="warm",
        ends_at=ends_at,
        gate=Budget(_ask, say=print, ends_at=ends_at),
        recorder=Recording(),
    )
    site = _Site(answers)
    http.transport.connect_by(site, is_plain=is_plain)
    for address in addresses:
        page = http.get(address)
        page.css("title")[0].text  # noqa: B018 - what it does is what counts
        page.css("li.row").texts  # noqa: B018
        page.links()
    http.close()
    site.close()
