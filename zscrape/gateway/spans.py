"""Spans of OpenTelemetry: a call, the task that it made, its attempts, and the script in them.

They are made from the facts that the dispatcher tells, so that workers need neither the
package nor a way to the collector. A task's call is known while it is queued, by the context
that its request runs in; a task that nobody called for (a schedule, a restart) begins a trace.
What is under way is known to this gateway alone: one that takes a task over begins a trace.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Final, TypeAlias

from msgspec import Struct
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, Status, StatusCode, set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from zscrape import __version__
from zscrape.core.effects import (
    DispatcherEffect,
    TaskAccepted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskStarted,
)
from zscrape.model import OutcomeCode, TaskId
from zscrape.store.tasks import TaskRow

_CLOSE_S: Final = 3.0  # a collector that does not answer holds nobody up for longer
_CHANGES: Final = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_W3C: Final = TraceContextTextMapPropagator()
_CALL: ContextVar[Span | None] = ContextVar("zscrape_call_span", default=None)
_ClockNs: TypeAlias = Callable[[], int]


class _Live(Struct):
    """The spans of one task that are not over."""

    task: Span
    attempt: Span | None = None
    script: Span | None = None


class Spans:
    """Makes spans of calls and facts.

    Args:
        provider: Takes them.
        clock_ns: Unix time in nanoseconds.
    """

    def __init__(self, provider: TracerProvider, *, clock_ns: _ClockNs = time.time_ns) -> None:
        self._provider = provider
        self._tracer = provider.get_tracer("zscrape", __version__)
        self._clock_ns = clock_ns
        self._live: dict[TaskId, _Live] = {}

    async def close(self) -> None:
        """Tell what has not been told yet, as far as the collector takes it in time."""
        loop, over = asyncio.get_running_loop(), asyncio.Event()

        def shut_down() -> None:
            self._provider.shutdown()
            with contextlib.suppress(RuntimeError):  # the loop did not wait so long
                loop.call_soon_threadsafe(over.set)

        # A daemon: the loop's own threads are waited for however long a collector is silent.
        threading.Thread(target=shut_down, name="last spans", daemon=True).start()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                await over.wait()

    # ---- tasks -----------------------------------------------------------------------

    def note(self, fact: DispatcherEffect) -> None:
        """Take what has happened to a task."""
        match fact:
            case TaskAccepted(task_id=task_id):
                self._live[task_id] = _Live(self._begin_task(task_id))
            case TaskQueued(task_id=task_id, code=code, parked_on=parked_on):
                if task_id not in self._live:
                    self._live[task_id] = _Live(self._begin_task(task_id))
                self._end_attempt(task_id, code, is_parked=bool(parked_on))
            case TaskAssigned(
                task_id=task_id, attempt=attempt, worker_id=worker_id, is_accepted=is_accepted
            ):
                if is_accepted:
                    self._live[task_id] = _Live(self._begin_task(task_id))
                self._begin_attempt(task_id, attempt, worker_id)
            case TaskStarted(task_id=task_id):
                self._begin_script(task_id)
            case TaskFinished(task_id=task_id, outcome=outcome, has_begun=has_begun):
                if has_begun:
                    self._begin_script(task_id)
                self._end_attempt(task_id, outcome.code)
            case _:
                return

    def ended(self, row: TaskRow) -> None:
        """Take what has become of a task."""
        live = self._live.pop(row.id, None)
        start_ns = int(row.created_at * 1e9)
        span = live.task if live is not None else self._begin_task(row.id, start_ns)
        if not span.is_recording():
            span.end()
            return
        code = row.error_code or (row.outcome.code.value if row.outcome is not None else "")
        span.update_name(f"task {row.script_name}")
        span.set_attributes(
            {
                "zscrape.script.name": row.script_name,
                "zscrape.script.version": row.version,
                "zscrape.script.digest": row.digest,
                "zscrape.task.status": row.status.value,
                "zscrape.task.origin": row.origin,
                "zscrape.outcome.code": code,
                "zscrape.attempt.count": row.attempts,
                "zscrape.item.count": row.item_count,
            }
        )
        if code != OutcomeCode.OK:
            span.set_status(Status(StatusCode.ERROR, code))
        span.end(self._clock_ns())

    def _begin_task(self, task_id: TaskId, start_ns: int | None = None) -> Span:
        call = _CALL.get()
        return self._tracer.start_span(
            "task",
            context=None if call is None else set_span_in_context(call),
            start_time=start_ns or self._clock_ns(),
            attributes={"zscrape.task.id": task_id},
        )

    def _begin_attempt(self, task_id: TaskId, number: int, worker_id: str) -> None:
        live = self._live.get(task_id)
        if live is None:
            return
        self._end_attempt(task_id, None)  # one that nobody has said the end of
        live.attempt = self._tracer.start_span(
            f"attempt {number}",
            context=set_span_in_context(live.task),
            kind=SpanKind.CLIENT,
            start_time=self._clock_ns(),
            attributes={"zscrape.attempt.number": number, "zscrape.worker.id": worker_id},
        )

    def _begin_script(self, task_id: TaskId) -> None:
        live = self._live.get(task_id)
        if live is None or live.attempt is None or live.script is not None:
            return
        live.script = self._tracer.start_span(
            "script", context=set_span_in_context(live.attempt), start_time=self._clock_ns()
        )

    def _end_attempt(
        self, task_id: TaskId, code: OutcomeCode | None, *, is_parked: bool = False
    ) -> None:
        live = self._live.get(task_id)
        if live is None:
            return
        now_ns = self._clock_ns()
        for span in (live.script, live.attempt):
            if span is None:
                continue
            if code is not None:
                span.set_attribute("zscrape.outcome.code", code.value)
            if is_parked:
                span.set_attribute("zscrape.parked", True)
            if code not in (None, OutcomeCode.OK) and not is_parked:
                span.set_status(Status(StatusCode.ERROR, code.value if code else None))
            span.end(now_ns)
        live.script = live.attempt = None

    # ---- calls -----------------------------------------------------------------------

    def around(self, app: ASGIApp) -> ASGIApp:
        """Return an application with a span around each call that changes something.

        One that only looks has one where its caller follows it by `traceparent`: dashboards
        look all the time.
        """

        async def traced(scope: Scope, receive: Receive, send: Send) -> None:
            headers = dict(scope["headers"]) if scope["type"] == "http" else {}
            is_followed = b"traceparent" in headers
            if scope["type"] != "http" or not (is_followed or scope["method"] in _CHANGES):
                await app(scope, receive, send)
                return
            await self._call(app, scope, receive, send)

        return traced

    async def _call(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        headers: list[tuple[bytes, bytes]] = scope["headers"]
        told = {name.decode("latin-1"): value.decode("latin-1") for name, value in headers}
        span = self._tracer.start_span(
            scope["method"],
            context=_W3C.extract(told),
            kind=SpanKind.SERVER,
            start_time=self._clock_ns(),
            attributes={"http.request.method": scope["method"], "url.path": scope["path"]},
        )

        async def send_seen(message: Message) -> None:
            if message["type"] == "http.response.start":
                _note_answer(span, message)
            await send(message)

        scope["headers"] = _followed(headers, span)
        token = _CALL.set(span)
        try:
            await app(scope, receive, send_seen)
        finally:
            _CALL.reset(token)
            route = getattr(scope.get("route"), "path", None) or _own_route(scope["path"])
            if route:
                span.update_name(f"{scope['method']} {route}")
                span.set_attribute("http.route", route)
            span.end(self._clock_ns())


def _own_route(path: str) -> str:
    """Return the route of a path that never reaches the router; others are any text."""
    return path if path == "/scrape" else ""


def _followed(headers: list[tuple[bytes, bytes]], span: Span) -> list[tuple[bytes, bytes]]:
    """Return headers by which logs tell of the call as its spans do."""
    context = span.get_span_context()
    if not context.is_valid:
        return headers
    told = f"00-{context.trace_id:032x}-{context.span_id:016x}-{int(context.trace_flags):02x}"
    if not context.trace_flags.sampled and all(name != b"traceparent" for name, _ in headers):
        return headers  # nobody follows it: no line of a log is worth it
    kept = [each for each in headers if each[0] != b"traceparent"]
    return [*kept, (b"traceparent", told.encode())]


def _note_answer(span: Span, message: Message) -> None:
    status = message["status"]
    span.set_attribute("http.response.status_code", status)
    for name, value in message.get("headers", ()):
        if name == b"x-request-id":
            span.set_attribute("zscrape.request.id", value.decode("latin-1"))
    if status >= 500:
        span.set_status(Status(StatusCode.ERROR))


def exporting(environ: Mapping[str, str]) -> TracerProvider:
    """Return what tells spans to the collector that the environment names, by OTLP over HTTP.

    Name, sampler, headers, sizes and times of batches are those of the `OTEL_` variables.
    """
    name = environ.get("OTEL_SERVICE_NAME") or "zscrape"
    provider = TracerProvider(
        resource=Resource.create({"service.name": name, "service.version": __version__}),
        shutdown_on_exit=False,
    )
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
    return provider
