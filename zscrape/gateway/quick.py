"""Calls that come whole and are answered whole, without a task of the event loop's.

Of a short call that is waited for, a task, five layers of `send` and a timer for each part of
its request cost as much as all that is decided of it. Here an application is handed the whole
request at once, and gives its answer back in one piece whenever it is there.

It may decide nothing by itself: whoever takes a call by this way shares every decision with the
application behind it, and hands over to that (`go_on`) whatever has to wait, to stream, or to be
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, cast

from msgspec import Struct
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle
from uvicorn.server import ServerState

# A longer body is not copied to stand in one piece with its head.
_JOINED_BYTES: Final = 65_536


# A head that is longer is read anew each time: an open connection keeps the last one.
_HEAD_BYTES: Final = 2_048


# Takes a call: answers it now or later, or lets it `go_on`. Raises nothing.
Begin: TypeAlias = "Callable[[WholeCall], None]"


def _do_nothing() -> None:
    """Do nothing."""


class Head(Struct, frozen=True, eq=False):
    """The head of a call that came whole: what the next one on its connection is likely to have.

    A client says the same with every call. Where its bytes are those of the call before, they
    mean what they meant then, and are not read again; whatever else comes goes the whole way.
    """

    raw: bytes
    length: int  # of head and body together
    scope: Scope
    begin: Begin
    keep_alive: bool

    @classmethod
    def of(cls, data: bytes, cycle: RequestResponseCycle, begin: Begin) -> Head | None:
        """Return the head of a call that has come in one piece of data; None to forget it."""
        end = len(data) - len(cycle.body)
        if end > _HEAD_BYTES or data.find(b"\r\n\r\n") != end - 4:
            return None  # another one has come with it, or its body came in chunks
        return cls(data[:end], len(data), dict(cast(Scope, cycle.scope)), begin, cycle.keep_alive)

    def begins(self, data: bytes) -> bool:
        """True iff this is a call with the same head, and whole."""
        return len(data) == self.length and data.startswith(self.raw)


class WholeCall:
    """One call whose request is here as a whole; then the next one of its connection."""

    __slots__ = ("_body", "_go_on", "cycle", "is_over", "on_gone")

    def __init__(
        self,
        cycle: RequestResponseCycle,
        go_on: Callable[[RequestResponseCycle, Any], None],
        body: bytes,
    ) -> None:
        self.cycle = cycle
        self._go_on = go_on
        self._body = body
        self.on_gone: Callable[[], None] = _do_nothing  # called when nobody waits any more
        self.is_over = False  # answered here: nobody else has ever had its cycle

    def renew(self, server: ServerState, body: bytes, on_response: Callable[[], None]) -> None:
        """Be the next call, with the head of the one that is over: to make one anew is dear."""
        cycle = self.cycle
        cycle.default_headers, cycle.on_response = server.default_headers, on_response
        cycle.response_started = cycle.response_complete = self.is_over = False
        self._body = body

    def take_body(self) -> bytes:
        """Return the body, once: a connection that rests must not keep it."""
        body, self._body = self._body, b""
        return body

    def go_on(self, app: ASGIApp) -> None:
        """Have an application of the usual kind answer, as if the call had come to that."""
        self.cycle.body += self.take_body()
        self._go_on(self.cycle, app)

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Answer; `head` are the lines of its headers, without its length."""
        self.on_gone = _do_nothing
        cycle = self.cycle
        if cycle.disconnected:
            return
        transport = cycle.transport
        told = b"%b%bcontent-length: %d\r\n" % (STATUS_LINE[status], head, len(body))
        for each in cycle.default_headers:
            told += b"%b: %b\r\n" % each
        told += b"\r\n" if cycle.keep_alive else b"connection: close\r\n\r\n"
        if len(body) <= _JOINED_BYTES:
            transport.write(told + body)
        else:
            transport.write(told)
            transport.write(body)
        cycle.response_started = cycle.response_complete = self.is_over = True
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        cycle.on_response = _do_nothing  # as uvicorn does: it refers to the connection


class QuickApp(Protocol):
    """What may answer calls that come whole."""

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """True iff a call with this head is one of those."""
        ...

    def meet(self, scope: Scope) -> Begin:
        """Return what takes the calls with this head: what it says need be found out but once."""
        ...
