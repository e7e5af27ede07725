"""The quick way of `POST /scrape`: a plain call that comes whole and is answered whole.

What is decided of it is decided by `ScrapeCall`, as on the usual way. The difference is that no
task of the event loop is made for it: accepting a task hardly ever waits, so that coroutine is
run at once, and its end is told by a call. What does wait goes on as a task where it is.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Generator, Mapping
from functools import partial
from types import coroutine
from typing import Any, Final, TypeAlias

from starlette.types import ASGIApp, Receive, Scope, Send

from zscrape.gateway.api.exchange import (
    ClientGone,
    RawHeaders,
    check_length,
    to_client,
)
from zscrape.gateway.api.scrape import CallHead, ScrapeCall
from zscrape.gateway.quick import Begin, WholeCall
from zscrape.gateway.shield import check_host, is_ours, shielded, shielded_json_head
from zscrape.gateway.state import GatewayState
from zscrape.store.tasks import TaskRow

# Who sends one of these wants more than a plain answer.
_USUAL_WAY: Final = frozenset({b"prefer", b"idempotency-key", b"expect", b"upgrade"})
_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")
_Accepting: TypeAlias = Coroutine[Any, Any, TaskRow]


class QuickScrape:
    """Takes the plain calls of `POST /scrape`."""

    def __init__(self, state: GatewayState) -> None:
        self._state = state

    def takes(self, scope: Mapping[str, Any]) -> bool:
        """True iff a call with this head is a plain one."""
        if scope["path"] != "/scrape" or scope["method"] != "POST" or scope["query_string"]:
            return False
        for name, value in scope["headers"]:
            if name in _USUAL_WAY:
                return False
            if name == b"accept" and any(each in value for each in _STREAMS):
                return False
        return True

    def meet(self, scope: Scope) -> Begin:
        """Return what takes the calls with this head."""
        state, head = self._state, CallHead.of(self._state, scope)
        is_host_ours = is_ours(head.headers, state.policy.shield)
        return lambda call: _QuickCall(state, head, call).begin(is_host_ours)


class _QuickCall(ScrapeCall):
    __slots__ = ("_call", "_marks", "_row")

    def __init__(self, state: GatewayState, head: CallHead, call: WholeCall) -> None:
        super().__init__(state, head)
        self._call = call
        self._marks: Scope = {}  # what its scope would hold beside the head
        self._row: TaskRow | None = None  # iff its end is waited for

    def begin(self, is_host_ours: bool) -> None:
        state, call = self._state, self._call
        try:
            if not is_host_ours:
                check_host(self._head.headers, state.policy.shield)
            self.enter(self._marks)
            body = call.take_body()
            check_length(len(body), state.policy)
            accepting = self.accept(body)
            awaited = accepting.send(None)
        except StopIteration as done:
            self._accepted(done.value)
        except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
            call.go_on(self._as_usual(partial(_raise, error)))
        else:
            call.go_on(self._as_usual(partial(_finish, accepting, awaited)))

    def _accepted(self, row: TaskRow) -> None:
        """Wait for the task's end; an earlier one that serves is told the usual way."""
        if row.id != self.request_id:
            self._call.go_on(self._as_usual(partial(_give, row)))
            return
        self._row = row
        self._call.on_gone = self._gone
        self._state.service.listen_end(row, self._ended)

    def _gone(self) -> None:
        """Nobody waits any more: the task goes on."""
        row, self._row = self._row, None
        if row is not None:
            self._state.service.leave_end(row)

    def _ended(self) -> None:
        row, self._row = self._row, None
        if row is None:
            return
        self._state.service.elsewhere.leave(row)  # the bell has let go of it by itself
        told: RawHeaders = [(b"x-request-id", row.id.encode())]
        try:
            status, body = self.whole(row, told)
            shield = self._state.policy.shield
            head = shielded_json_head(told, self._marks, self._head.headers, shield)
            self._call.answer(status, head, body)
        except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
            self._call.go_on(self._as_usual(partial(_raise, error)))

    def _as_usual(self, accepting: Callable[[], Awaitable[TaskRow]]) -> ASGIApp:
        """Return what goes on with the call on its usual way."""

        async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
            scope.update(self._marks)
            headers, shield = self._head.headers, self._state.policy.shield
            with contextlib.suppress(ClientGone):
                told = shielded(to_client(send), scope, headers, shield)
                await self.conclude(accepting(), receive, told)

        return go_on


async def _raise(error: Exception) -> TaskRow:
    raise error


async def _give(row: TaskRow) -> TaskRow:
    return row


@coroutine
def _finish(accepting: _Accepting, awaited: Any) -> Generator[Any, Any, TaskRow]:
    """Go on with a coroutine that has been run until it waits for `awaited`."""
    while True:
        try:
            try:
                sent = yield awaited
            except BaseException as error:  # noqa: BLE001 - the coroutine's own to handle
                awaited = accepting.throw(error)
            else:
                awaited = accepting.send(sent)
        except StopIteration as done:
            row: TaskRow = done.value
            return row
