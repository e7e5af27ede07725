"""Connections within limits: how many there are, and how long and how large a request may be.

uvicorn waits for ever for a head and for a body, and keeps whatever a head has brought. One
timer per connection ends what is not received in time; the endpoints answer 408 before that
where there is somebody to answer. A request that comes in one piece of data, as nearly all do,
needs no timer: they are set when a piece has been read, and one for idle connections runs on.
"""

from __future__ import annotations

import asyncio
import logging
import resource
from collections.abc import Callable
from math import inf
from pathlib import Path
from typing import Any, Final, cast

import uvicorn
from msgspec import Struct
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.config import Config
from uvicorn.protocols.http.httptools_impl import (
    STATUS_LINE,
    HttpToolsProtocol,
    RequestResponseCycle,
)

from zscrape.gateway.quick import Head, QuickApp

# What goes without a lifespan asks the package for it, which would load its command line.
vars(uvicorn)["Config"] = Config

# Connections that wait to be accepted; also uvicorn's own default.
BACKLOG: Final = 2048
# The name in the ASGI scope that says: answer that there are too many connections.
CROWDED: Final = "zscrape.crowded"

# Beyond the limit some are still answered, so that they learn why; the rest is cut at once.
_ANSWERED_COUNT: Final = 64
# The endpoints' own limit on bodies comes first; this one is for bodies that nobody reads.
_BODY_GRACE_S: Final = 5.0
# Open files beside the connections within the limit: those beyond it, workers, repositories.
_OTHER_FILES_COUNT: Final = _ANSWERED_COUNT + 448
_ANSWER: Final = b"%b%b%bcontent-length: %d\r\n%b\r\n%b"
_LAST: Final = b"connection: close\r\n"
# A longer body is not copied to stand in one piece with its head.
_JOINED_BYTES: Final = 65_536
# uvicorn warns of what strangers send: anybody could fill the log with it.
_LOGGER: Final = logging.getLogger("uvicorn.error.connections")
_LOGGER.setLevel(logging.ERROR)


class ConnectionLimits(Struct, frozen=True):
    """What a client may take up before its request is complete."""

    connection_count: int = 1024
    head_timeout_s: float = 10.0
    head_limit_bytes: int = 65_536  # of the request line and the headers; node allows 16 KiB
    body_timeout_s: float = 30.0
    stall_timeout_s: float = 60.0  # of a client that does not read what it has asked for


class Tls(Struct, frozen=True):
    """Files of a certificate with its chain, and of its key."""

    certificate: Path
    key: Path


def room_for(connection_count: int) -> int:
    """Return how many connections this process can hold, up to `connection_count`.

    It asks the system for as many open files as that takes: most start a process with 1,024,
    and a listener that has none left is deaf.
    """
    wanted_count = connection_count + _OTHER_FILES_COUNT
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < wanted_count:
        soft = wanted_count if hard == resource.RLIM_INFINITY else min(hard, wanted_count)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    if soft == resource.RLIM_INFINITY:
        return connection_count
    return max(1, min(connection_count, soft - _OTHER_FILES_COUNT))


class HttpConfig(Config):
    """uvicorn's configuration for an application behind these limits."""

    def __init__(
        self,
        app: ASGIApp,
        limits: ConnectionLimits,
        *,
        tls: Tls | None = None,
        proxies: tuple[str, ...] = (),
    ) -> None:
        super().__init__(
            app,
            http=LimitedProtocol,
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            # Only proxies that are named are believed about whose call it is.
            proxy_headers=bool(proxies),
            forwarded_allow_ips=list(proxies),
            ssl_certfile=None if tls is None else str(tls.certificate),
            ssl_keyfile=None if tls is None else str(tls.key),
            backlog=BACKLOG,
            # Streams watch the hub's closing event; what is left after this is cut.
            timeout_graceful_shutdown=3,
        )
        self.limits = limits
        # An application within another one (a proxy's headers, a trace) must see every call.
        self.quick = None if proxies else _quick_of(app)
        self.standing: list[tuple[bytes, bytes]] = []
        self.standing_lines = b""

    def take_standing(self, standing: list[tuple[bytes, bytes]]) -> None:
        """Make lines of uvicorn's own headers; it makes these anew each second."""
        self.standing = standing
        self.standing_lines = b"".join(b"%b: %b\r\n" % each for each in standing)


def _quick_of(app: ASGIApp) -> QuickApp | None:
    """Return what of an application takes the calls that come whole; None when nothing does."""
    if not isinstance(app, Starlette):
        return None
    quick: QuickApp | None = getattr(app.state, "quick", None)
    return quick


def _do_nothing() -> None:
    """Do nothing."""


class LimitedProtocol(HttpToolsProtocol):
    """uvicorn's protocol, with limits on what is received."""

    config: HttpConfig

    def __init__(self, config: HttpConfig, *args: Any, **options: Any) -> None:
        super().__init__(config, *args, **options)
        self._limits = config.limits
        self.logger = _LOGGER
        self._timer: asyncio.TimerHandle | None = None
        self._stalled: asyncio.TimerHandle | None = None
        self._is_begun = False  # of a head some bytes have come, and not all
        self._due_s = 0.0  # what the timer is to be set to once a piece of data has been read
        self._idle_at = inf  # since when nothing is asked
        self._is_in_head = False
        self._is_first = False  # no call before it waits for its answer
        self._answering: RequestResponseCycle | None = None
        self._quick = config.quick
        self._held: tuple[RequestResponseCycle, Any] | None = None  # is it whole with this piece?
        self.on_gone: Callable[[], None] = _do_nothing  # of the call that came whole
        self._head: Head | None = None  # of that, iff nothing but such calls has come since
        self._is_cycle_ours = False  # the last call was answered here: nobody has had its cycle

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection in, or cut it where far too many are there."""
        super().connection_made(transport)
        beyond_count = len(self.connections) - self._limits.connection_count
        if beyond_count > _ANSWERED_COUNT:
            transport.abort()
            return
        if beyond_count > 0:
            self.app = _Crowded(self.app)
            self._quick = None
        self._begin_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell every request under way that nobody waits for it any more."""
        self._disarm()
        self._go_on()
        if self.timeout_keep_alive_task is not None:
            self.timeout_keep_alive_task.cancel()
        self.on_gone()
        self.on_gone = _do_nothing
        answering = self._answering
        # Of pipelined requests uvicorn tells the newest alone; the one that is being answered
        # would write to a closed transport.
        if answering is not None and not answering.response_complete:
            answering.disconnected = True
            answering.message_event.set()
        self.pipeline.clear()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Give a client that does not read some time: what it is owed stays in memory."""
        super().pause_writing()
        self._head = None
        self._go_on()
        self._stalled = self.loop.call_later(self._limits.stall_timeout_s, self.transport.abort)

    def resume_writing(self) -> None:
        """Note that the client reads again."""
        self._go_on()
        super().resume_writing()

    def _go_on(self) -> None:
        if self._stalled is not None:
            self._stalled.cancel()
            self._stalled = None

    def timeout_keep_alive_handler(self) -> None:
        """Close an idle connection; what its client has not read by then holds it no longer."""
        self.timeout_keep_alive_task = None
        left_s = self._idle_at + self.timeout_keep_alive - self.loop.time()
        if left_s > 0.0:
            if left_s != inf:
                self._wait_idle(left_s)
            return
        super().timeout_keep_alive_handler()
        if self._stalled is None and self.transport.get_write_buffer_size():
            self._stalled = self.loop.call_later(self._limits.stall_timeout_s, self.transport.abort)

    def _wait_idle(self, delay_s: float) -> None:
        self.timeout_keep_alive_task = self.loop.call_later(
            delay_s, self.timeout_keep_alive_handler
        )

    def _unset_keepalive_if_required(self) -> None:
        self._idle_at = inf  # the timer runs on: to cancel it each time costs more than its look

    def on_response_complete(self) -> None:
        """Go on with the next request, or wait for it as long as an idle connection may.

        uvicorn would count the requests, for a limit that is not set here.
        """
        if self.transport.is_closing():
            return
        if self.flow.read_paused:
            self.flow.resume_reading()
        if self.pipeline:
            self._unset_keepalive_if_required()
            self._start_asgi_task(*self.pipeline.pop())
            return
        self._idle_at = self.loop.time()
        if self.timeout_keep_alive_task is None:
            self._wait_idle(self.timeout_keep_alive)

    def data_received(self, data: bytes) -> None:
        """Feed the parser; a head must end in time and within its size.

        A client says the same with every call: one whose head is that of the call before, byte
        by byte, needs no parser.
        """
        head, cycle = self._head, self.cycle
        if (
            head is not None
            and cycle.response_complete
            and len(data) == head.length
            and data.startswith(head.raw)
        ):
            self._idle_at = inf
            if self._timer is not None:
                self._disarm()
            if not self._is_cycle_ours:  # else it serves again: to make one anew is dear
                cycle = self._make_cycle(head)
            cycle.response_complete = False
            head.begin(self, data[head.size :])
        else:
            self._feed(data)

    def _feed(self, data: bytes) -> None:
        self._head = None
        cycle: RequestResponseCycle | None = self.cycle
        is_over = cycle is None or (cycle.response_complete and not cycle.more_body)
        is_at_rest = is_over and not self._is_begun  # nothing waits before what begins now
        was_in_head = self._is_in_head
        super().data_received(data)
        if self._held is not None:
            held, self._held = self._held, None
            self._begin(*held, data if is_at_rest else b"")
        if self.transport.is_closing():
            return
        if self._due_s:
            self._arm(self._due_s)
        if self._timer is None and not self._due_s and not self._is_answering:
            self._begin_head()  # line ends between two requests: they have stopped uvicorn's timer
        if was_in_head and self._is_in_head:
            self._head_bytes += len(data)
            if self._head_bytes > self._limits.head_limit_bytes:
                self.send_400_response("The head of the request is too long.")

    def on_message_begin(self) -> None:
        """Give the head its time, unless it runs already."""
        if not self._is_in_head:
            self._is_in_head = True
            self._head_bytes = 0
            self._due_s = self._limits.head_timeout_s
        self._is_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Give the body its own time."""
        self._is_in_head = self._is_begun = False
        self._due_s = self._limits.body_timeout_s + _BODY_GRACE_S
        self._is_first = True
        super().on_headers_complete()
        self._is_first = False

    def on_message_complete(self) -> None:
        """The request is here: from now on the gateway is the one that is waited for."""
        self._disarm()
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        quick = self._quick
        # One that has waited for the answer before it goes the usual way: it may be one of many.
        if quick is not None and self._is_first and quick.takes(cycle.scope):
            self._held = cycle, app
        else:
            self._start_usually(cycle, app)

    def _start_usually(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._is_cycle_ours = False
        super()._start_asgi_task(cycle, app)

    def _begin(self, cycle: RequestResponseCycle, app: Any, data: bytes) -> None:
        """Begin with a call whose head has come with the piece of data that has just been read."""
        flow = self.flow
        is_held_up = cycle.more_body or flow.read_paused or flow.write_paused
        if self._quick is None or is_held_up or self.transport.is_closing():
            self._start_usually(cycle, app)
            return
        begin = self._quick.meet(cast(Scope, cycle.scope))
        self._head = Head.of(data, cycle, begin)
        body, cycle.body = bytes(cycle.body), bytearray()
        cycle.on_response = _do_nothing  # it refers to the connection, which has the cycle
        begin(self, body)

    def _make_cycle(self, head: Head) -> RequestResponseCycle:
        """Make what uvicorn asks of a call, for one with the same head as the call before."""
        scope: Any = {**head.scope, "state": self.app_state.copy()}
        cycle = self.cycle = self._answering = RequestResponseCycle(
            scope=scope,
            transport=self.transport,
            flow=self.flow,
            logger=self.logger,
            access_logger=self.access_logger,
            access_log=self.access_log,
            default_headers=[],
            message_event=asyncio.Event(),
            expect_100_continue=False,
            keep_alive=head.keep_alive,
            on_response=_do_nothing,
        )
        cycle.more_body = False
        return cycle

    # ---- a call that has come whole: see `Connection` in `quick` ------------------------

    def pass_on(self, app: ASGIApp) -> None:
        """Have an application of the usual kind answer."""
        self.on_gone = _do_nothing
        cycle = self._answering
        if cycle is not None:
            cycle.default_headers = self.server_state.default_headers
            cycle.on_response = self.on_response_complete
            self._start_usually(cycle, app)

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Answer in one piece; `head` are the lines of its headers, without its length."""
        self.on_gone = _do_nothing
        cycle, config = self._answering, self.config
        if cycle is None or cycle.disconnected:
            return
        standing, size = self.server_state.default_headers, len(body)
        if standing is not config.standing:
            config.take_standing(standing)
        lines, last = config.standing_lines, b"" if cycle.keep_alive else _LAST
        if size <= _JOINED_BYTES:
            self.transport.write(_ANSWER % (STATUS_LINE[status], head, lines, size, last, body))
        else:
            self.transport.write(_ANSWER % (STATUS_LINE[status], head, lines, size, last, b""))
            self.transport.write(body)
        cycle.response_complete = self._is_cycle_ours = True
        if last:
            self.transport.close()
        elif self.pipeline or self.flow.read_paused or self.timeout_keep_alive_task is None:
            self.on_response_complete()
        else:
            self._idle_at = self.loop.time()

    @property
    def _is_answering(self) -> bool:
        """True while a request that is here as a whole waits for its answer."""
        cycle = self._answering
        return cycle is not None and not cycle.response_complete and not cycle.more_body

    def _begin_head(self) -> None:
        self._is_in_head = True
        self._head_bytes = 0
        self._arm(self._limits.head_timeout_s)

    def _arm(self, delay_s: float) -> None:
        self._due_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self.loop.call_later(delay_s, self._expire, delay_s)

    def _disarm(self) -> None:
        self._is_in_head = False
        self._due_s = 0.0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self, delay_s: float) -> None:
        self._timer = None
        if self.flow.read_paused or self._is_answering:  # the client is the one who waits
            self._arm(delay_s)
        elif not self.transport.is_closing():
            self.transport.close()


class _Crowded:
    """Marks the calls of a connection beyond the limit."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._app({**scope, CROWDED: True}, receive, send)
