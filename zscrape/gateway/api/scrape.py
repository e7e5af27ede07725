"""`POST /scrape`: one envelope as the answer, whatever happens.

The way of nearly every call, so it is a bare ASGI endpoint: no request object, no routing,
no thread hop, and the answer encoded once.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable, Coroutine, Mapping
from typing import Any, Final

from msgspec import Struct, field
from starlette.types import Receive, Scope, Send

from zscrape.errors import RefusedError, ScriptError, ZscrapeError, let_go
from zscrape.errors.refusals import Draining
from zscrape.errors.requests import Unauthorized
from zscrape.gateway.acceptance import Idempotency
from zscrape.gateway.access import Presented, presented_in
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    JSON_TYPE,
    ClientGone,
    RawHeaders,
    check_rate,
    check_room,
    disconnect,
    language_of,
    peer_of,
    preferred_wait,
    read_body,
    refusal_headers,
    send_whole,
    while_current,
)
from zscrape.gateway.api.leaving import end_if_left, ending_with_client, is_cancelling_query
from zscrape.gateway.api.statuses import envelope_status
from zscrape.gateway.api.streams import EVENTS, ITEMS, follow, wait_for_item
from zscrape.gateway.clients import Client
from zscrape.gateway.envelope import ReusedView, encode, envelope, refusal_envelope
from zscrape.gateway.faults import field_fault
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.requests import TaskRequest, decode_task
from zscrape.gateway.shield import check_host
from zscrape.gateway.state import GatewayState
from zscrape.gateway.tasks import is_request_fault
from zscrape.gateway.tracing import trace_of
from zscrape.model import TaskState
from zscrape.store.tasks import TaskRow

# A call that takes longer is watched for its client's going: before that it is not worth it.
_UNWATCHED_S: Final = 1.0
_KEY_NAME: Final = b"idempotency-key"
_KEY_LENGTH_LIMIT: Final = 255

_COMES_AGAIN: Final = frozenset({409, 429, 503})  # told with Retry-After


@needs("run")
class ScrapeEndpoint:
    """`POST /scrape`: run a script, and answer with what it brought on the same call.

    The answer is always the envelope, whatever the outcome; `Accept` may ask for a stream of
    events or of items instead, and `Prefer: wait=N` for 202 when it takes longer.
    """

    def __init__(self, state: GatewayState) -> None:
        self._state = state

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one call."""
        state = self._state
        head = CallHead.of(state, scope)
        call = ScrapeCall(state, head)

        async def accept() -> TaskRow:
            check_host(head.headers, state.policy.shield)
            check_room(scope, state.policy)
            call.enter(scope)
            accepted = call.accept(await read_body(head.headers, receive, state.policy))
            return accepted if isinstance(accepted, TaskRow) else await accepted

        await call.conclude(accept(), receive, send)


class CallHead(Struct, frozen=True, eq=False):
    """What the head of a call says; nothing of it is decided yet."""

    headers: dict[bytes, bytes]  # to be read only
    presented: Presented
    peer: str
    query: bytes
    lang: str
    trace_id: str

    @classmethod
    def of(cls, state: GatewayState, scope: Scope) -> CallHead:
        """Return what a head says."""
        headers: dict[bytes, bytes] = dict(scope["headers"])
        return cls(
            headers=headers,
            presented=presented_in(headers),
            peer=peer_of(scope),
            query=scope["query_string"],
            lang=language_of(headers, state.policy.lang),
            trace_id=trace_of(headers),
        )


class ScrapeCall(Struct, eq=False):
    """One call of `POST /scrape`: let in by `enter`, made a task by `accept`, then answered.

    All that is decided of a call is decided here, whichever way it has come (see `quickscrape`).
    """

    state: GatewayState
    head: CallHead
    request_id: str = field(default_factory=new_task_id)
    client: Client | None = None
    script_name: str | None = None
    is_started: bool = False  # a part of the answer has left
    reused: ReusedView | None = None  # iff an earlier task serves
    is_cancelling: bool = False  # its task ends when its client goes

    def enter(self, scope: Scope) -> None:
        """Look at who calls, before anything of the body is read; `scope` takes what is found.

        Raises:
            ZscrapeError: The call is refused.
        """
        state, head = self.state, self.head
        client = self.client = state.access.authenticate(
            head.headers, head.peer, method="POST", presented=head.presented
        )
        if client.rate_per_s is not None or state.limiter.rate is not None:
            check_rate(scope, state, client)
        if "admin" not in client.scopes:
            client.check_scopes(("run",))
        if head.query:
            self.is_cancelling = is_cancelling_query(head.query)

    def accept(self, body: bytes) -> TaskRow | Coroutine[Any, Any, TaskRow]:
        """Make a task of a call that has been let in; return what brings it if that has to wait.

        Raises:
            ZscrapeError: The call is refused.
        """
        state, head, client = self.state, self.head, self.client
        if client is None:
            raise Unauthorized
        request = decode_task(body, depth_limit=state.policy.depth_limit)
        self.script_name = request.script_name
        if client.scripts or client.groups:
            request = client.narrowed(request)
        if _KEY_NAME not in head.headers:
            service, task_id = state.service, self.request_id
            prepared = service.prepare_at_once(request, client.id, task_id, head.trace_id)
            if prepared is not None:
                return service.accept_at_once(prepared)
        return self._accept(request, client, body)

    async def _accept(self, request: TaskRequest, client: Client, body: bytes) -> TaskRow:
        """Make a task of a request that is none of the plain ones."""
        service = self.state.service
        idempotency = idempotency_of(self.head.headers, body)
        if idempotency is not None:
            earlier = await service.reattach(client.id, idempotency)
            if earlier is not None:
                return earlier
        try:
            prepared = await service.prepare(
                request,
                origin="scrape",
                client=client.id,
                task_id=self.request_id,
                is_awaited=True,
                is_own_only=request.max_age is not None and client.reuses_own_only,
                trace_id=self.head.trace_id,
            )
        except ScriptError as error:
            return await self._failed(request, error, client.id, idempotency)
        row = await service.accept(prepared, idempotency)
        if row is not prepared.row:
            self.reused = service.reused(prepared, row)
        return row

    def is_allowed(self) -> bool:
        """True iff who calls may still do so."""
        return self.client is not None and self.state.access.is_current(self.client)

    async def _failed(
        self,
        request: TaskRequest,
        error: ScriptError,
        client: str,
        idempotency: Idempotency | None,
    ) -> TaskRow:
        """A script that cannot be resolved is a task that has failed, and is kept as one."""
        if is_request_fault(error):
            raise error
        return await self.state.service.fail(
            request, error, task_id=self.request_id, client=client, idempotency=idempotency
        )

    async def conclude(self, accepting: Awaitable[TaskRow], receive: Receive, send: Send) -> None:
        """Answer a call: with what becomes of its task, or why there is none."""
        try:
            row = await accepting
            await self.answer(row, receive, while_current(send, self.is_allowed))
        except ClientGone:
            raise  # the edge knows what to do: nothing
        except ZscrapeError as error:
            await self.refuse(error, send)
            let_go(error)
        except Exception as error:  # noqa: BLE001 - the edge: told to the log and the client
            self.state.report("request_failed", self.request_id, error)
            await self.refuse(ZscrapeError(), send)
            let_go(error)

    async def answer(self, row: TaskRow, receive: Receive, send: Send) -> None:
        """Answer with the task's end, or as it goes on."""
        with ending_with_client(self.state, row, is_asked=self.is_cancelling):
            await self._answer(row, receive, send)

    async def _answer(self, row: TaskRow, receive: Receive, send: Send) -> None:
        headers = self.head.headers
        self.request_id = row.id
        told: RawHeaders = [(b"x-request-id", row.id.encode())]
        accepted = headers.get(b"accept", b"")
        if b"text/event-stream" in accepted:
            told.append((b"location", b"/v1/tasks/" + row.id.encode()))
            await self._follow(row, receive, send, told)
            return
        if b"application/x-ndjson" in accepted:
            await self._items(row, receive, send, told)
            return
        if row.status.is_final:
            await self.state.service.settled(row)
        else:
            wait_s = preferred_wait(headers, self.state.policy.max_wait_s)
            await wait_for_end(self.state, row, receive, wait_s)
        await self._finish(row, send, told)

    async def _finish(self, row: TaskRow, send: Send, told: RawHeaders) -> None:
        status, body = self.whole(row, told)
        self.is_started = True
        await send_whole(send, status, body, JSON_TYPE, told)

    def whole(self, row: TaskRow, told: RawHeaders) -> tuple[int, bytes]:
        """Return the status and the body of an answer in one piece; `told` takes its headers.

        Raises:
            Draining: The gateway ends before the task does.
        """
        status = 200
        if row.status is not TaskState.COMPLETED:
            if self.state.hub.is_closed and not row.status.is_final:
                raise Draining
            status = envelope_status(row)
            told += _headers_of(status, row)
        limit_bytes = self.state.policy.inline_limit_bytes
        view = envelope(row, self.head.lang, inline_limit_bytes=limit_bytes)
        if self.reused is not None:
            view.reused = self.reused
            told.append((b"age", b"%d" % self.reused.age))  # RFC 9111, 5.1
        return status, encode(view)

    async def _follow(self, row: TaskRow, receive: Receive, send: Send, told: RawHeaders) -> None:
        lang = self.head.lang
        self.is_started = True
        await follow(self.state, row, EVENTS, receive, send, headers=told, lang=lang)
        self._left(row)

    async def _items(self, row: TaskRow, receive: Receive, send: Send, told: RawHeaders) -> None:
        """Stream items; what fails before its first item is told by an envelope and a status."""
        state = self.state
        await wait_for_item(state, row, receive)
        if row.item_count == 0 and row.status is not TaskState.COMPLETED:
            await self._finish(row, send, told)
            return
        self.is_started = True
        await follow(state, row, ITEMS, receive, send, headers=told, lang=self.head.lang)
        self._left(row)

    def _left(self, row: TaskRow) -> None:
        """A stream is over: before the task's end only since its reader has gone or stalled."""
        if self.is_cancelling:
            end_if_left(self.state, row)

    async def refuse(self, error: ZscrapeError, send: Send) -> None:
        """Answer with the envelope of a request that became no task."""
        if self.is_started:
            raise error  # half an answer has left: only the connection's end can tell
        body = refusal_envelope(self.request_id, error, self.head.lang, self.script_name)
        told = [(b"x-request-id", self.request_id.encode()), *refusal_headers(error)]
        await send_whole(send, error.http_status, body, JSON_TYPE, told)


def _headers_of(status: int, row: TaskRow) -> RawHeaders:
    """Return what an answer that is not just there says of another one."""
    if status == 202:
        location = b"/v1/tasks/" + row.id.encode()
        return [(b"location", location), (b"preference-applied", b"wait")]
    if status in _COMES_AGAIN:
        return [(b"retry-after", b"%d" % RefusedError.retry_after_s)]
    return []


def idempotency_of(headers: Mapping[bytes, bytes], body: bytes) -> Idempotency | None:
    """Return the call's `Idempotency-Key` with what stands for its body.

    Raises:
        FieldFault: The key is empty, too long or not visible ASCII.
    """
    given = headers.get(_KEY_NAME)
    if given is None:
        return None
    key = given.decode("latin-1").strip()
    if not key or len(key) > _KEY_LENGTH_LIMIT or not (key.isascii() and key.isprintable()):
        raise field_fault("Idempotency-Key", "idempotency_key", limit=_KEY_LENGTH_LIMIT)
    return Idempotency(key=key, mark=hashlib.sha256(body).hexdigest())


async def wait_for_end(
    state: GatewayState, row: TaskRow, receive: Receive, wait_s: float | None
) -> None:
    """Wait until the task's end may be told, `wait_s` has passed, or nobody waits any more.

    Raises:
        ClientGone: Nobody is left to answer. The task goes on.
    """
    await _wait_for_end(state, row, receive, wait_s)
    await state.service.settled(row)


async def _wait_for_end(
    state: GatewayState, row: TaskRow, receive: Receive, wait_s: float | None
) -> None:
    first_s = _UNWATCHED_S if wait_s is None else min(wait_s, _UNWATCHED_S)
    future = state.service.watch_end(row)
    try:
        if not future.done():
            await asyncio.wait((future,), timeout=first_s)
        left_s = None if wait_s is None else wait_s - first_s
        if future.done() or (left_s is not None and left_s <= 0):
            return
        gone = asyncio.create_task(disconnect(receive), name=f"watch {row.id}")
        try:
            await asyncio.wait((future, gone), timeout=left_s, return_when=asyncio.FIRST_COMPLETED)
            if gone.done():
                raise ClientGone
        finally:
            gone.cancel()
    finally:
        state.service.forget(row, future)
