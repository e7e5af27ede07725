"""Answers that go on while a task runs: server-sent events, lines of items, lines of logs.

A stream ends when its task has ended, when its reader has gone, when the reader has taken
nothing for too long, and when the gateway closes; each is awaited, none is polled.

Events tell every attempt of a task. Lines of items tell the last one alone, as
`/v1/tasks/{id}/items` does: when another attempt begins after items of an earlier one have
left, a line `{"$restart": n}` says that they no longer count, `n` being the new attempt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Final

import msgspec
from msgspec import Struct
from starlette.types import Receive, Send

from zscrape.gateway.api.exchange import ClientGone, RawHeaders, disconnect, one_line
from zscrape.gateway.envelope import encode, envelope, moment, task_error_view
from zscrape.gateway.events import reschedule
from zscrape.gateway.state import GatewayState
from zscrape.model import SavedFile
from zscrape.runtime.recording import CONTENT_TYPE
from zscrape.store.tasks import LogEntry, TaskRow

_BATCH_COUNT: Final = 256  # entries read at once: the loop gets a turn between batches
_LAST_WORDS_S: Final = 0.5  # for a reader that may have stalled, once the gateway closes

EVENT_STREAM: Final = b"text/event-stream; charset=utf-8"
JSON_LINES: Final = b"application/x-ndjson; charset=utf-8"
# A proxy that gathers answers would hold a stream back.
_STREAM_HEADERS: Final[RawHeaders] = [
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),
]


class Form(Struct, frozen=True):
    """How a task's log is told."""

    content_type: bytes
    kinds: frozenset[str] | None  # None: every kind
    frame: Callable[[LogEntry], bytes]
    ping: bytes  # b"": nothing may stand between the lines
    end: Callable[[TaskRow, GatewayState, str], bytes]
    restart: Callable[[int], bytes] | None = None  # None: every attempt is told


async def follow(
    state: GatewayState,
    row: TaskRow,
    form: Form,
    receive: Receive,
    send: Send,
    *,
    headers: RawHeaders,
    lang: str,
    after: int = 0,
    is_lasting: bool = True,
) -> None:
    """Answer with the task's log from `after` on; until its end when `is_lasting`."""
    start = [(b"content-type", form.content_type), *_STREAM_HEADERS, *headers]
    gone = asyncio.create_task(disconnect(receive), name=f"watch {row.id}")
    try:
        async with asyncio.timeout(None) as guard:
            state.hub.opened(guard)
            state.service.elsewhere.follow(row)
            try:
                writer = _Writer(send, guard, state)
                await writer.start(start)
                reader = _Reader(state, row, form, after)
                await _tell(state, row, form, reader, writer, gone, is_lasting)
                if not gone.done():
                    end = form.end(row, state, lang) if reader.is_at_end else b""
                    await writer.send(end, is_last=True)
            finally:
                state.service.elsewhere.leave(row)
                state.hub.ended(guard)
    except TimeoutError:
        return  # its reader takes nothing: the server closes the connection
    finally:
        gone.cancel()


async def _tell(
    state: GatewayState,
    row: TaskRow,
    form: Form,
    reader: _Reader,
    writer: _Writer,
    gone: asyncio.Task[None],
    is_lasting: bool,
) -> None:
    while not gone.done():
        # Asked before the log is read: what comes meanwhile is not missed.
        news = state.hub.news.watch(row.id)
        try:
            frames = await reader.read()
            if frames:
                await writer.send(frames)
                continue
            if reader.is_at_end or state.hub.is_closed or not is_lasting:
                return
            done, _ = await asyncio.wait(
                (news, gone),
                timeout=state.policy.ping_interval_s,
                return_when=asyncio.FIRST_COMPLETED,
            )
            if not done and form.ping:
                await writer.send(form.ping)
        finally:
            state.hub.news.forget(row.id, news)


class _Reader:
    """Reads a task's log onwards from a place."""

    def __init__(self, state: GatewayState, row: TaskRow, form: Form, after: int) -> None:
        self._store = state.store
        self._settled = state.service.settled
        self._row = row
        self._form = form
        self._after = after
        self._attempt = 0  # of which something has been told
        self.is_at_end = False  # the task has ended and all of its log is read

    async def read(self) -> bytes:
        """Return the frames of the next entries, b"" when there are none now."""
        while True:
            attempt = self._row.attempts
            entries = await self._next()
            frames = [self._turned(attempt)]
            for entry in entries:
                if self._form.restart is None:
                    frames.append(self._form.frame(entry))
                elif entry.attempt >= attempt:
                    frames.append(self._turned(entry.attempt))
                    self._attempt = entry.attempt
                    frames.append(self._form.frame(entry))
            told = b"".join(frames)
            if told or not entries:
                return told

    def _turned(self, attempt: int) -> bytes:
        """Return what says that the told attempt no longer counts, b"" when it does."""
        if self._form.restart is None or not 0 < self._attempt < attempt:
            return b""
        self._attempt = attempt
        return self._form.restart(attempt)

    async def _next(self) -> list[LogEntry]:
        row = self._row
        is_final = row.status.is_final  # looked at first: entries may come while we read
        last_number = row.last_number
        entries = await self._store.entries(
            row.id, after=self._after, kinds=self._form.kinds, limit=_BATCH_COUNT
        )
        await self._settled(row)  # they may tell of its end
        if not entries:
            self._after = max(self._after, last_number)
            self.is_at_end = is_final
        else:
            self._after = entries[-1].number
        return entries


class _Writer:
    """Sends chunks; a reader that takes none for too long ends the stream."""

    def __init__(self, send: Send, guard: asyncio.Timeout, state: GatewayState) -> None:
        self._send = send
        self._guard = guard
        self._state = state
        self._loop = asyncio.get_running_loop()

    async def start(self, headers: RawHeaders) -> None:
        await self._send({"type": "http.response.start", "status": 200, "headers": headers})

    async def send(self, chunk: bytes, *, is_last: bool = False) -> None:
        limit_s = _LAST_WORDS_S if self._state.hub.is_closed else self._state.policy.stall_limit_s
        reschedule(self._guard, self._loop.time() + limit_s)
        await self._send({"type": "http.response.body", "body": chunk, "more_body": not is_last})
        reschedule(self._guard, None)


async def wait_for_item(state: GatewayState, row: TaskRow, receive: Receive) -> None:
    """Wait until the task has an item or has ended, or the gateway closes.

    Raises:
        ClientGone: Nobody is left to answer. The task goes on.
    """
    gone = asyncio.create_task(disconnect(receive), name=f"watch {row.id}")
    state.service.elsewhere.follow(row)
    try:
        while not (row.status.is_final or row.item_count or state.hub.is_closed):
            news = state.hub.news.watch(row.id)  # it may be of a log line: looked at again above
            try:
                await asyncio.wait((news, gone), return_when=asyncio.FIRST_COMPLETED)
            finally:
                state.hub.news.forget(row.id, news)
            if gone.done():
                raise ClientGone
    finally:
        state.service.elsewhere.leave(row)
        gone.cancel()
    await state.service.settled(row)


# ---- forms ---------------------------------------------------------------------------


def _event(number: int, kind: str, document: bytes) -> bytes:
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (number, kind.encode(), one_line(document))


def _with_place(entry: LogEntry, *, has_number: bool = False) -> bytes:
    """Return an entry's body with its moment and attempt put in front."""
    at = moment(entry.at) or datetime.fromtimestamp(0, UTC)
    number = b'"id":%d,' % entry.number if has_number else b""
    place = b'{%s"at":"%s","attempt":%d' % (number, at.isoformat().encode(), entry.attempt)
    inner = entry.body.strip()
    if not (inner.startswith(b"{") and inner.endswith(b"}")):
        return b'%s,"value":%s}' % (place, inner)
    rest = inner[1:-1].strip()
    return b"%s,%s}" % (place, rest) if rest else place + b"}"


_ARTIFACT = msgspec.json.Decoder(SavedFile)  # everything but its bytes


def _event_of(entry: LogEntry) -> bytes:
    if entry.kind == "item":
        return _event(entry.number, "item", entry.body)
    if entry.kind == "artifact":
        try:
            told = encode(_ARTIFACT.decode(entry.body))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            told = b"{}"
        if CONTENT_TYPE.encode() in told:  # for the capsule, not for those who follow
            return b""
        return _event(entry.number, "artifact", told)
    if entry.kind == "state":  # its body has the attempt already
        at = moment(entry.at) or datetime.fromtimestamp(0, UTC)
        told = b'{"at":"%s",%s' % (at.isoformat().encode(), entry.body[1:])
        return _event(entry.number, "state", told)
    return _event(entry.number, entry.kind, _with_place(entry))


def result_number(row: TaskRow) -> int:
    """Return the number of the `result` event: the one after the log's last."""
    return row.last_number + 1


def _result_event(row: TaskRow, state: GatewayState, lang: str) -> bytes:
    limit_bytes = state.policy.inline_limit_bytes
    told = encode(envelope(row, lang, inline_limit_bytes=limit_bytes))
    return _event(result_number(row), "result", told)


def _item_line(entry: LogEntry) -> bytes:
    return one_line(entry.body) + b"\n"


def _log_line(entry: LogEntry) -> bytes:
    return one_line(_with_place(entry, has_number=True)) + b"\n"


def _error_line(row: TaskRow, _state: GatewayState, lang: str) -> bytes:
    error = task_error_view(row, lang)
    return b"" if error is None else encode({"$error": error}) + b"\n"


def _restart_line(attempt: int) -> bytes:
    return b'{"$restart":%d}\n' % attempt


def _no_line(_row: TaskRow, _state: GatewayState, _lang: str) -> bytes:
    return b""


EVENTS: Final = Form(EVENT_STREAM, None, _event_of, b": ping\n\n", _result_event)
ITEMS: Final = Form(JSON_LINES, frozenset({"item"}), _item_line, b"", _error_line, _restart_line)
LOGS: Final = Form(JSON_LINES, frozenset({"log"}), _log_line, b"", _no_line)
