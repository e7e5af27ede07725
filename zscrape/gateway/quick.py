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
from typing import Any, Final, Protocol

from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

# A longer body is not copied to stand in one piece with its head.
_JOINED_BYTES: Final = 65_536


def _do_nothing() -> None:
    """Do nothing."""


class WholeCall:
    """One call whose request is here as a whole."""

    __slots__ = ("_cycle", "_go_on", "on_gone", "scope")

    def __init__(
        self, cycle: RequestResponseCycle, go_on: Callable[[RequestResponseCycle, Any], None]
    ) -> None:
        self._cycle = cycle
        self._go_on = go_on
        self.scope: Scope = cycle.scope  # type: ignore[assignment]
        self.on_gone: Callable[[], None] = _do_nothing  # called when nobody waits any more

    def take_body(self) -> bytes:
        """Return the body, once."""
        body = bytes(self._cycle.body)
        self._cycle.body = bytearray()  # a connection that rests must not keep it
        return body

    def go_on(self, app: ASGIApp) -> None:
        """Have an application of the usual kind answer, as if the call had come to that."""
        self._go_on(self._cycle, app)

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Answer; `head` are the lines of its headers, without its length."""
        self.on_gone = _do_nothing
        cycle = self._cycle
        if cycle.disconnected:
            return
        parts = [STATUS_LINE[status]]
        for name, value in cycle.default_headers:
            parts += (name, b": ", value, b"\r\n")
        if not cycle.keep_alive:
            parts.append(b"connection: close\r\n")
        parts += (head, b"content-length: %d\r\n\r\n" % len(body))
        transport = cycle.transport
        if len(body) <= _JOINED_BYTES:
            parts.append(body)
            transport.write(b"".join(parts))
        else:
            transport.write(b"".join(parts))
            transport.write(body)
        cycle.response_started = cycle.response_complete = True
        if not cycle.keep_alive:
            transport.close()
        cycle.on_response()
        cycle.on_response = _do_nothing  # as uvicorn does: it refers to the connection


class QuickApp(Protocol):
    """What may answer calls that come whole."""

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """True iff a call with this head is one of those."""
        ...

    def begin(self, call: WholeCall) -> None:
        """Take a call: answer it now or later, or let it `go_on`. Raises nothing."""
        ...
