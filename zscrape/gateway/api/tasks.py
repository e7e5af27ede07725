"""`/v1/tasks`: submit, look at, follow, cancel."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from zscrape.errors import ScriptError, ZscrapeError
from zscrape.errors.requests import ParamsInvalid
from zscrape.gateway.acceptance import Idempotency
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    PROBLEM_TYPE,
    REQUEST_ID,
    body_of,
    check_query,
    client_of,
    gateway_of,
    is_true,
    language,
    moment_in,
    not_one_of,
    problem_document,
    refusal_headers,
    request_id_of,
    row_of,
    seconds,
    told,
    whole,
)
from zscrape.gateway.api.scrape import idempotency_of, wait_for_end
from zscrape.gateway.api.streams import EVENTS, LOGS, follow, result_number
from zscrape.gateway.envelope import (
    ReusedView,
    error_view,
    links_of,
    task_summary,
    task_view,
)
from zscrape.gateway.faults import field_fault
from zscrape.gateway.intake import Prepared
from zscrape.gateway.requests import BatchTask, decode_task, decode_tasks, is_array
from zscrape.gateway.tracing import trace_of
from zscrape.messages import text
from zscrape.model import TaskState
from zscrape.store.tasks import TaskQuery, TaskRow

_PAGE_LIMIT_COUNT: Final = 1_000
_TURN_COUNT: Final = 20  # tasks of a batch prepared before others get a turn
_MORE: Final = frozenset({"limit", "cursor", "status", "script", "origin", "since"})


# ---- submit --------------------------------------------------------------------------


@needs("run")
async def submit(request: Request) -> Response:
    """`POST /v1/tasks`: one task, or an array of them."""
    check_query(request, ())
    body = await body_of(request)
    if is_array(body):
        return await _submit_many(request, body)
    state = gateway_of(request)
    client = client_of(request)
    asked = decode_task(body, depth_limit=state.policy.depth_limit)
    asked = client.narrowed(asked)
    idempotency = idempotency_of(dict(request.scope["headers"]), body)
    row = reused = None
    if idempotency is not None:
        row = await state.service.reattach(client.id, idempotency)
    if row is None:
        prepared = await state.service.prepare(
            asked,
            origin="task",
            client=client.id,
            is_own_only=client.reuses_own_only,
            trace_id=trace_of(dict(request.scope["headers"])),
        )
        row = await state.service.accept(prepared, idempotency)
        reused = state.service.reused(prepared, row)
    request.scope[REQUEST_ID] = row.id
    return told(accepted_view(row, reused), 202, {"Location": f"/v1/tasks/{row.id}"})


@needs("run")
async def submit_batch(request: Request) -> Response:
    """`POST /v1/tasks/batch`: an array of tasks, or an object with `tasks`."""
    check_query(request, ())
    return await _submit_many(request, await body_of(request))


async def _submit_many(request: Request, body: bytes) -> Response:
    """Accept many tasks: all are found good before the first is queued."""
    state = gateway_of(request)
    lang = language(request)
    if "idempotency-key" in request.headers:
        raise field_fault("Idempotency-Key", "idempotency_of_many")
    asked = decode_tasks(body, depth_limit=state.policy.depth_limit)
    asked = [client_of(request).grouped(each) for each in asked]
    prepared = await _prepare_many(request, asked, "" if is_array(body) else "/tasks")
    if isinstance(prepared, Response):
        return prepared
    answers: list[dict[str, Any]] = []
    refusal: ZscrapeError | None = None
    promises = [_promise_of(each) for each in asked]
    rows = await state.service.accept_many(prepared, promises)
    for each, row in zip(prepared, rows, strict=True):
        if isinstance(row, TaskRow):
            answers.append(accepted_view(row, state.service.reused(each, row)))
        else:
            refusal = refusal or row
            answers.append({"error": error_view(row, lang)})
    refused_count = sum("error" in answer for answer in answers)
    if refusal is not None and refused_count == len(answers):
        raise refusal
    view = {
        "tasks": answers,
        "accepted_count": len(answers) - refused_count,
        "refused_count": refused_count,
    }
    headers = {
        name.decode(): value.decode()
        for name, value in (refusal_headers(refusal) if refusal is not None else ())
    }
    return told(view, 202, headers)


def _promise_of(asked: BatchTask) -> Idempotency | None:
    if asked.idempotency_key is None:
        return None
    # Sets in one order: the same request must have the same mark in every process.
    body = msgspec.json.encode(asked, order="deterministic")
    return Idempotency(key=asked.idempotency_key, mark=hashlib.sha256(body).hexdigest())


async def _prepare_many(
    request: Request, asked: list[BatchTask], at: str
) -> list[Prepared] | Response:
    """Find every task good, or refuse all of them with every fault found.

    A script that cannot be resolved is answered here: its error knows of no place in a body.

    Raises:
        ParamsInvalid: Parameters do not fit; the pointers say which.
    """
    service = gateway_of(request).service
    client = client_of(request)
    for each in asked:
        client.check_script(each.script_name)
    trace_id = trace_of(dict(request.scope["headers"]))
    prepared: list[Prepared] = []
    misfits: list[ParamsInvalid] = []
    for place, each in enumerate(asked):
        try:
            prepared.append(
                await service.prepare(
                    each,
                    origin="batch",
                    client=client.id,
                    at=f"{at}/{place}",
                    is_own_only=client.reuses_own_only,
                    trace_id=trace_id,
                )
            )
        except ParamsInvalid as error:
            misfits.append(error)
        except ScriptError as error:
            return _unresolved(request, error, f"{at}/{place}/script_name")
        if place % _TURN_COUNT == _TURN_COUNT - 1:
            await asyncio.sleep(0)
    if misfits:
        problems = [problem for misfit in misfits for problem in misfit.problems]
        raise ParamsInvalid(script_name=misfits[0].script_name, problems=problems)
    return prepared


def _unresolved(request: Request, error: ScriptError, at: str) -> Response:
    request_id = request_id_of(request.scope)
    body = problem_document(error, request_id, language(request), at=at)
    return Response(body, error.http_status, media_type=PROBLEM_TYPE.decode())


def accepted_view(row: TaskRow, reused: ReusedView | None = None) -> dict[str, Any]:
    """Return what is told of a task that was accepted, or of an earlier one that serves."""
    view = {"request_id": row.id, "status": row.status.value, "links": links_of(row.id)}
    return view if reused is None else {**view, "reused": reused}


# ---- look ----------------------------------------------------------------------------


@needs("read", "run")
async def history(request: Request) -> Response:
    """`GET /v1/tasks`: newest first, page by page."""
    check_query(request, _MORE)
    return await page_of(request, query_of(request), "tasks")


async def page_of(request: Request, query: TaskQuery, noun: str) -> Response:
    """Return one page of tasks under the name `noun`, with the cursor of the next."""
    page = await gateway_of(request).store.page(client_of(request).within(query))
    lang = language(request)
    cursor = None if page.next_before is None else _cursor_of(page.next_before)
    return told({noun: [task_summary(row, lang) for row in page.rows], "next_cursor": cursor})


def query_of(request: Request, *, limit_high: int = _PAGE_LIMIT_COUNT) -> TaskQuery:
    """Return which tasks the query of a call asks for.

    Raises:
        FieldFault: It cannot be read.
    """
    query = request.query_params
    since = query.get("since")
    return TaskQuery(
        statuses=_statuses(query.get("status", "")),
        script_name=query.get("script", ""),
        origin=query.get("origin", ""),
        since=None if since is None else moment_in(since, "since"),
        limit=whole(request, "limit", 50, low=1, high=limit_high) or 50,
        before=_place_of(query.get("cursor")),
    )


def _statuses(given: str) -> frozenset[TaskState]:
    known = [state.value for state in TaskState]
    names = [name.strip() for name in given.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise not_one_of("status", name, known)
    return frozenset(TaskState(name) for name in names)


def _cursor_of(place: int) -> str:
    return base64.urlsafe_b64encode(b"t%d" % place).decode().rstrip("=")


def _place_of(cursor: str | None) -> int | None:
    """Return the place that a cursor stands for.

    Raises:
        FieldFault: It is none of ours.
    """
    if cursor is None:
        return None
    try:
        padded = cursor.encode("ascii") + b"=" * (-len(cursor) % 4)
        place = base64.b64decode(padded, altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        place = b""
    if not (place[:1] == b"t" and place[1:].isdigit() and len(place) <= 20):
        raise field_fault("cursor", "not_cursor", given=cursor[:80])
    return int(place[1:])


@needs("read", "run")
async def show(request: Request) -> Response:
    """`GET /v1/tasks/{id}`: one task in full; `?wait=30` answers when it has ended, or then."""
    check_query(request, ("wait",))
    state = gateway_of(request)
    row = await row_of(request)
    wait_s = seconds(request, "wait", high=state.policy.max_wait_s)
    if wait_s and not row.status.is_final:
        await wait_for_end(state, row, request.receive, wait_s)
    return _shown(request, row)


def _shown(request: Request, row: TaskRow, status: int = 200) -> Response:
    limit_bytes = gateway_of(request).policy.inline_limit_bytes
    return told(task_view(row, language(request), inline_limit_bytes=limit_bytes), status)


@needs("read", "run")
async def explain(request: Request) -> Response:
    """`GET /v1/tasks/{id}/explain`: why it waits, or where it is."""
    check_query(request, ())
    row = await row_of(request)
    found = gateway_of(request).service.explain(row)
    if found.reason == "running":
        found = gateway_of(request).sites.explain(row.id) or found
    words = text(f"explain.{found.reason}", language(request), **found.fields)
    return told(
        {
            "request_id": row.id,
            "status": row.status.value,
            "reason": found.reason,
            "message": words,
            "fields": found.fields,
            "attempts": row.attempts,
            "worker_id": row.worker_id,
        }
    )


@needs("run")
async def cancel(request: Request) -> Response:
    """`POST /v1/tasks/{id}/cancel` and `DELETE /v1/tasks/{id}`: end it; again is no error."""
    check_query(request, ())
    row = await row_of(request)
    return _shown(request, await gateway_of(request).service.cancel(row.id))


# ---- follow --------------------------------------------------------------------------


class Stream(Response):
    """An answer that writes itself while the task runs."""

    def __init__(self, request: Request, row: TaskRow, form: Any, **options: Any) -> None:
        self._request = request
        self._row = row
        self._form = form
        self._options = options
        self.background = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Write it."""
        await follow(
            gateway_of(self._request),
            self._row,
            self._form,
            receive,
            send,
            headers=[],
            lang=language(self._request),
            **self._options,
        )


@needs("read", "run")
async def events(request: Request) -> Response:
    """`GET /v1/tasks/{id}/events`: server-sent events, resumable by `Last-Event-ID`."""
    check_query(request, ())
    row = await row_of(request)
    given = request.headers.get("last-event-id", "0").strip() or "0"
    if not (given.isascii() and given.isdigit() and len(given) <= 18):
        raise field_fault("Last-Event-ID", "not_whole", given=given[:80])
    after = int(given)
    if row.status.is_final and after >= result_number(row):
        # A browser that has seen the result dials again; this tells it to stop (HTML, 9.2.3).
        return Response(status_code=204)
    return Stream(request, row, EVENTS, after=min(after, row.last_number))


@needs("read", "run")
async def logs(request: Request) -> Response:
    """`GET /v1/tasks/{id}/logs`: one JSON object a line; `?follow=1` until the task ends."""
    check_query(request, ("follow", "after"))
    row = await row_of(request)
    after = whole(request, "after", 0, low=0, high=10**12) or 0
    return Stream(request, row, LOGS, after=after, is_lasting=is_true(request, "follow"))


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/tasks", submit, methods=["POST"]),
        Route("/v1/tasks", history, methods=["GET"]),
        Route("/v1/tasks/batch", submit_batch, methods=["POST"]),
        Route("/v1/tasks/{task_id}", show, methods=["GET"]),
        Route("/v1/tasks/{task_id}", cancel, methods=["DELETE"]),
        Route("/v1/tasks/{task_id}/cancel", cancel, methods=["POST"]),
        Route("/v1/tasks/{task_id}/explain", explain, methods=["GET"]),
        Route("/v1/tasks/{task_id}/events", events, methods=["GET"]),
        Route("/v1/tasks/{task_id}/logs", logs, methods=["GET"]),
    ]
