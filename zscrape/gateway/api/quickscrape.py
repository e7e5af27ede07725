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

from zscrape.gateway.api.exchange import JSON_TYPE, ClientGone, RawHeaders, to_client
from zscrape.gateway.api.scrape import ScrapeCall
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.quick import WholeCall
from zscrape.gateway.requests import BodyLimit
from zscrape.gateway.shield import check_host, shielded, shielded_head
from zscrape.gateway.state import GatewayState
from zscrape.store.tasks import TaskRow

# Who sends one of these wants more than a plain answer.
_USUAL_WAY: Final = frozenset({b"prefer", b"idempotency-key", b"expect", b"upgrade"})
_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")
_Accepting: TypeAlias = Coroutine[Any, Any, TaskRow]
_CONTENT_TYPE: Final = (b"content-type", JSON_TYPE)


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

    def begin(self, call: WholeCall) -> None:
        """Take a plain call."""
        _QuickCall(self._state, call).begin()


class _QuickCall:
    __slots__ = ("_call", "_headers", "_row", "_scrape", "_state")

    def __init__(self, state: GatewayState, call: WholeCall) -> None:
        self._state = state
        self._call = call
        self._headers = call.headers
        self._scrape = ScrapeCall(state, self._headers, new_task_id())
        self._row: TaskRow | None = None  # iff its end is waited for

    def begin(self) -> None:
        state, call, scrape = self._state, self._call, self._scrape
        try:
            check_host(self._headers, state.policy.shield)
            scrape.enter(call.scope)
            body = call.take_body()
            BodyLimit(state.policy.body_limit_bytes).check_length(len(body))
            accepting = scrape.accept(body)
            awaited = accepting.send(None)
        except StopIteration as done:
            self._accepted(done.value)
        except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
            call.go_on(self._as_usual(partial(_raise, error)))
        else:
            call.go_on(self._as_usual(partial(_finish, accepting, awaited)))

    def _accepted(self, row: TaskRow) -> None:
        """Wait for the task's end; one that is no other than asked for, and lasts no longer."""
        is_plain = row.id == self._scrape.request_id and not row.is_durable
        if not is_plain:
            self._call.go_on(self._as_usual(partial(_give, row)))
            return
        self._row = row
        self._call.on_gone = self._left
        self._state.service.listen_end(row, self._ended)

    def _left(self) -> None:
        """Nobody waits any more: the task goes on."""
        row, self._row = self._row, None
        if row is not None:
            self._state.service.leave_end(row)

    def _ended(self) -> None:
        call = self._call
        row, self._row = self._row, None
        if row is None:
            return
        self._state.service.leave_end(row)
        told: RawHeaders = [_CONTENT_TYPE, (b"x-request-id", row.id.encode())]
        try:
            status, body = self._scrape.whole(row, told)
            shield = self._state.policy.shield
            call.answer(status, shielded_head(told, call.scope, self._headers, shield), body)
        except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
            call.go_on(self._as_usual(partial(_raise, error)))

    def _as_usual(self, accepting: Callable[[], Awaitable[TaskRow]]) -> ASGIApp:
        """Return what goes on with the call on its usual way."""

        async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
            told = shielded(to_client(send), scope, self._headers, self._state.policy.shield)
            with contextlib.suppress(ClientGone):
                await self._scrape.conclude(accepting(), receive, told)

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
