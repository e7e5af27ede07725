"""Where every request of `ctx.http` leaves and every answer comes in, redirects included.

httpx follows redirects above this, so what is looked at here holds for each hop: robots.txt,
the gate, the way out, the limits of the body.
"""

from __future__ import annotations

import ssl
import threading
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, cast

import httpx

from zscrape.runtime import direct
from zscrape.runtime.bodies import Body
from zscrape.runtime.retrying import retry_after_s

if TYPE_CHECKING:
    import socket
    from collections.abc import Mapping

    import httpcore

    from zscrape.runtime.gate import Gate, Tape
    from zscrape.runtime.robots import Robots

# Under this name a request carries its options; httpx hands them on to each redirect.
OPTIONS = "zscrape"
# Under this one, a list with the answer that a first hop has had already: it is taken out.
GIVEN = "zscrape_given"
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
        self._connections = direct.Connections()
        self._pools: dict[str, httpx.HTTPTransport] = {}
        self._lock = threading.Lock()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request that may be sent, and return its answer, the body still to come."""
        given: list[direct.Answer] = request.extensions.get(GIVEN, [])
        if given:
            answer = given.pop()
            return httpx.Response(answer.status, headers=answer.headers, stream=answer.stream)
        options: Options = request.extensions[OPTIONS]
        url = str(request.url)
        if self.tape is not None:
            told = self._from_tape(self.tape, request, url)
            if told is not None:
                return told
        self.admit(url, has_robots=options.has_robots, has_budget=True)
        try:
            response = self._pool(options.proxy_url).handle_request(request)
        except BaseException:
            self.gate.after(url, 0, None)
            raise
        # The answer of a synchronous transport has a synchronous stream.
        answer = direct.Answer(
            response.status_code,
            response.headers.raw,
            cast("httpx.SyncByteStream", response.stream),
        )
        response.stream, codings = self._bounded(request.method, url, answer, options)
        if codings:
            del response.headers["content-encoding"]
        return response

    def can_ask(self, question: direct.Question) -> bool:
        """False: whom it goes to has answered before in a way that only httpx may read."""
        return question.host not in self._connections.illegible

    def ask(self, question: direct.Question, options: Options, timeout_s: float) -> direct.Answer:
        """Ask without httpx what is as plain as that; return the answer, its body still to come.

        Raises:
            httpx.TransportError: There is none.
            RobotsDisallowed: The site's robots.txt forbids it.
        """
        url = question.url
        self.admit(url, has_robots=options.has_robots, has_budget=True)
        try:
            answer = self._connections.ask(question, timeout_s)
        except BaseException:
            self.gate.after(url, 0, None)
            raise
        body, codings = self._bounded("GET", url, answer, options)
        headers = answer.headers
        if codings:
            headers = [each for each in headers if each[0].lower() != b"content-encoding"]
        return direct.Answer(answer.status, headers, body)

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
        self._connections.close()
        for each in self._pools.values():
            each.close()

    def connect_by(self, backend: httpcore.NetworkBackend, *, is_plain: bool = False) -> None:
        """Reach sites without a proxy by another way than sockets of the network.

        Args:
            backend: That way.
            is_plain: Only for questions that `ask` is for.
        """

        def connect(host: str, port: int, timeout_s: float) -> socket.socket:
            made: socket.socket = backend.connect_tcp(host, port, timeout_s).get_extra_info(
                "socket"
            )
            return made

        self._connections.connect = connect
        if is_plain:
            return
        self._pool("")._pool._network_backend = backend  # noqa: SLF001 - httpx hands none on

    def _bounded(
        self, method: str, url: str, answer: direct.Answer, options: Options
    ) -> tuple[Body, str]:
        """Return the body of an answer as it is read, and how it is compressed on its way.

        It comes out as it was before that: nobody is to undo it again.
        """
        # One pass: a look-up by name in httpx's headers goes through all of them.
        said = {name.lower(): value for name, value in answer.headers if len(name) in _LONG}
        codings = said.get(b"content-encoding", b"").decode("latin-1")
        wait_s = None
        if b"retry-after" in said:
            wait_s = retry_after_s({"retry-after": said[b"retry-after"].decode("latin-1")})
        body = Body(
            answer.stream,
            method,
            url,
            codings=codings,
            length=said.get(b"content-length", b"").decode("latin-1"),
            limit_bytes=options.limit_bytes,
            ends_at=self.ends_at,
            on_close=partial(self.gate.after, url, answer.status, wait_s),
        )
        return body, codings

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
