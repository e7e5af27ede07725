"""Calls that come whole and are answered whole, without a task of the event loop's.

Of a short call that is waited for, a task, five layers of `send` and a timer for each part of
its request cost as much as all that is decided of it. Here an application is handed the whole
request at once, and gives its answer back in one piece whenever it is there.

It may decide nothing by itself: whoever takes a call by this way shares every decision with the
application behind it, and hands over to that (`pass_on`) whatever has to wait, to stream, or to be
refused.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, TypeAlias, cast

from msgspec import Struct
from starlette.types import ASGIApp, Scope
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle

# A head that is longer is read anew each time: an open connection keeps the last one.
_HEAD_BYTES: Final = 2_048


# Takes a call with its body: answers it now or later, or passes it on. Raises nothing.
Begin: TypeAlias = "Callable[[Connection, bytes], None]"


class Head(Struct, frozen=True, eq=False):
    """The head of a call that came whole: what the next one on its connection is likely to have.

    A client says the same with every call. Where its bytes are those of the call before, they
    mean what they meant then, and are not read again; whatever else comes goes the whole way.
    """

    raw: bytes
    size: int  # its own
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
        scope = dict(cast(Scope, cycle.scope))
        return cls(data[:end], end, len(data), scope, begin, cycle.keep_alive)


class Connection(Protocol):
    """Where a call has come whole: who has begun with it answers it there, or passes it on.

    No other call of the connection begins before that, and nothing of this one is kept after.
    """

    on_gone: Callable[[], None]  # called when nobody waits any more

    def pass_on(self, app: ASGIApp) -> None:
        """Have an application of the usual kind answer; the body has been taken."""
        ...

    def answer(self, status: int, head: bytes, body: bytes) -> None:
        """Answer; `head` are the lines of its headers, without its length."""
        ...


class QuickApp(Protocol):
    """What may answer calls that come whole."""

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """True iff a call with this head is one of those."""
        ...

    def meet(self, scope: Scope) -> Begin:
        """Return what takes the calls with this head: what it says need be found out but once."""
        ...
