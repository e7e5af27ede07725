"""The quick way of `POST /scrape`: a plain call that comes whole and is answered whole.

What is decided of it is decided by `ScrapeCall`, as on the usual way. The difference is that no
task of the event loop is made for it: accepting a task hardly ever waits, and its end is told by
a call. What has to wait goes on as a task.
"""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from functools import partial
from typing import Any, Final

from msgspec import field
from starlette.types import Receive, Scope, Send

from zscrape.gateway.api.exchange import (
    ClientGone,
    RawHeaders,
    check_length,
    to_client,
)
from zscrape.gateway.api.scrape import CallHead, ScrapeCall
from zscrape.gateway.quick import Begin, Connection
from zscrape.gateway.shield import check_host, is_ours, shielded, shielded_json_head
from zscrape.gateway.state import GatewayState
from zscrape.store.tasks import TaskRow

# Who sends one of these wants more than a plain answer.
_USUAL_WAY: Final = frozenset({b"prefer", b"idempotency-key", b"expect", b"upgrade"})
_STREAMS: Final = (b"text/event-stream", b"application/x-ndjson")


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
        policy = state.policy
        is_host_ours = is_ours(head.headers, policy.shield)
        length_limit = policy.body_limit_bytes

        def begin(connection: Connection, body: bytes) -> None:
            call = _QuickCall(state, head, connection=connection)
            try:
                if not is_host_ours:
                    check_host(head.headers, policy.shield)
                call.enter(call.marks)
                if len(body) > length_limit:
                    check_length(len(body), policy)
                accepted = call.accept(body)
            except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
                call.go_on(partial(_raise, error))
            else:
                if isinstance(accepted, TaskRow):
                    call.row = accepted
                    connection.on_gone = call.leave
                    state.service.listen_end(accepted, call.end)
                else:
                    call.go_on(partial(_bring, accepted))

        return begin


class _QuickCall(ScrapeCall, kw_only=True, eq=False):
    connection: Connection
    marks: Scope = field(default_factory=dict)  # what its scope would hold beside the head
    row: TaskRow | None = None  # iff its end is waited for

    def leave(self) -> None:
        """Nobody waits any more: the task goes on."""
        if self.row is not None:
            self.state.service.leave_end(self.row)

    def end(self) -> None:
        """Tell the task's end."""
        row, state = self.row, self.state
        if row is None:
            return
        state.service.elsewhere.leave(row)  # the bell has let go of it by itself
        told: RawHeaders = []
        try:
            status, body = self.whole(row, told)
            shield = state.policy.shield
            head = shielded_json_head(row.id, told, self.marks, self.head.headers, shield)
            self.connection.answer(status, head, body)
        except Exception as error:  # noqa: BLE001 - told to the client, ours to the log too
            self.go_on(partial(_raise, error))

    def go_on(self, accepting: Callable[[], Awaitable[TaskRow]]) -> None:
        """Go on with the call on its usual way."""

        async def go_on(scope: Scope, receive: Receive, send: Send) -> None:
            scope.update(self.marks)
            with contextlib.suppress(ClientGone):
                told = shielded(to_client(send), scope, self.head.headers, self.state.policy.shield)
                await self.conclude(accepting(), receive, told)

        self.connection.pass_on(go_on)


async def _raise(error: Exception) -> TaskRow:
    raise error


async def _bring(accepting: Coroutine[Any, Any, TaskRow]) -> TaskRow:
    return await accepting
