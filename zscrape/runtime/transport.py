"""Where every request of `ctx.http` leaves and every answer comes in, redirects included.

httpx follows redirects above this, so what is looked at here holds for each hop: robots.txt,
the gate, the way out, the limits of the body.
"""

from __future__ import annotations

import ssl
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import httpx

from zscrape.runtime.bodies import Body
from zscrape.runtime.retrying import retry_after_s

if TYPE_CHECKING:
    from collections.abc import Mapping

    import httpcore

    from zscrape.runtime.gate import Gate, Tape
    from zscrape.runtime.robots import Robots

# Under this name a request carries its options; httpx hands them on to each redirect.
OPTIONS = "zscrape"
_LONG = frozenset(map(len, ("content-encoding", "content-length", "retry-after")))
_CHANGED = ("content-encoding", "content-length", "transfer-encoding")


class Options(NamedTuple):
    """What one request allows."""

    limit_bytes: int
    has_robots: bool = True
    proxy_url: str = ""  # empty: directly


class Transport(httpx.BaseTransport):
    """The pools of connections, one for each way out, and who stands before them."""

    def __init__(self, tls: ssl.SSLContext, gate: Gate, ends_at: float) -> None:
        self.gate = gate
        self.ends_at = ends_at  # monotonic seconds
        self.robots: Robots | None = None
        self.tape: Tape | None = None
        self._tls = tls
        self._pools: dict[str, httpx.HTTPTransport] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request that may be sent, and return its answer, the body still to come."""
        options: Options = request.extensions[OPTIONS]
        url = str(request.url)
        if self.tape is not None:
            told = self._from_tape(self.tape, request, url)
            if told is not None:
                return told
        if options.has_robots and self.robots is not None:
            self.robots.check(url)
        self.gate.before(url)
        try:
            response = self._pool(options.proxy_url).handle_request(request)
        except BaseException:
            self.gate.after(url, 0, None)
            raise
        # One pass: a look-up by name in httpx's headers goes through all of them.
        said = {name.lower(): value for name, value in response.headers.raw if len(name) in _LONG}
        codings = said.get(b"content-encoding", b"").decode("latin-1")
        wait_s = retry_after_s(response.headers) if b"retry-after" in said else None
        response.stream = Body(
            response,
            request,
            codings=codings,
            length=said.get(b"content-length", b"").decode("latin-1"),
            limit_bytes=options.limit_bytes,
            ends_at=self.ends_at,
            on_close=partial(self.gate.after, url, response.status_code, wait_s),
        )
        # It comes out as it was before it was compressed: nobody is to do that again.
        if codings:
            del response.headers["content-encoding"]
        return response

    def admit(self, url: str, *, has_robots: bool, has_budget: bool) -> None:
        """Wait until `url` may be asked by somebody else: a browser.

        Raises:
            RobotsDisallowed: The site's robots.txt forbids it.
        """
        if has_robots and self.robots is not None:
            self.robots.check(url)
        if has_budget:
            self.gate.before(url)

    def note_answer(self, url: str, status: int, headers: Mapping[str, str]) -> None:
        """Hear how a site has answered whom `admit` has let pass; status 0: it has not."""
        self.gate.after(url, status, retry_after_s(headers))

    def close(self) -> None:
        """Close every connection."""
        for each in self._pools.values():
            each.close()

    def connect_by(self, backend: httpcore.NetworkBackend) -> None:
        """Reach sites without a proxy by another way than sockets of the network."""
        self._pool("")._pool._network_backend = backend  # noqa: SLF001 - httpx hands none on

    def _pool(self, proxy_url: str) -> httpx.HTTPTransport:
        found = self._pools.get(proxy_url)
        if found is None:
            with self._lock:
                found = self._pools.get(proxy_url)
                if found is None:
                    found = self._pools[proxy_url] = httpx.HTTPTransport(
                        verify=self._tls, http2=True, proxy=proxy_url or None
                    )
        return found

    def _from_tape(self, tape: Tape, request: httpx.Request, url: str) -> httpx.Response | None:
        told = tape.answer(request.method, url, request.read())
        if told is None:
            return None
        if not told.status:
            raise httpx.ReadError(told.error, request=request)
        headers = [each for each in told.headers if each[0].lower() not in _CHANGED]
        return httpx.Response(told.status, headers=headers, content=told.body, request=request)
