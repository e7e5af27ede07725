"""`/v1/handoffs`: what running scripts ask people, and the answers."""

from __future__ import annotations

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    body_of,
    check_query,
    client_of,
    gateway_of,
    not_one_of,
    told,
    whole,
)
from zscrape.gateway.clients import Client
from zscrape.gateway.envelope import moment
from zscrape.gateway.handoffs import question_of
from zscrape.gateway.state import GatewayState
from zscrape.store.handoffs import HandoffQuery, HandoffRow, HandoffStatus

_LIMIT_COUNT: Final = 1_000


@needs("read", "run")
async def handoffs(request: Request) -> Response:
    """`GET /v1/handoffs`: the newest first; `?status=open` are those that wait."""
    check_query(request, ("status", "task", "limit"))
    client = client_of(request)
    limit = whole(request, "limit", 100, low=1, high=_LIMIT_COUNT) or 100
    query = HandoffQuery(
        status=_status_of(request),
        task_id=request.query_params.get("task", ""),
        client=client.id if client.is_own_only else "",
        limit=_LIMIT_COUNT if client.groups else limit,
    )
    state = gateway_of(request)
    rows = await state.handoffs.page(query, lambda row: _sees(client, row))
    if client.groups:
        rows = [row for row in rows if await _is_of_group(state, client, row)][:limit]
    return told({"handoffs": [_view(row) for row in rows]})


@needs("read", "run")
async def show(request: Request) -> Response:
    """`GET /v1/handoffs/{id}`: one question."""
    check_query(request, ())
    return told(_view(await _row_of(request)))


@needs("run", act="handoffs.answer")
async def answer(request: Request) -> Response:
    """`POST /v1/handoffs/{id}/answer` (= `/resolve`): give the script what it asks for."""
    check_query(request, ())
    row = await _row_of(request)
    body = await body_of(request)
    actor = client_of(request).id
    return told(_view(await gateway_of(request).handoffs.answer(row, body, actor=actor)))


@needs("run", act="handoffs.dismiss")
async def dismiss(request: Request) -> Response:
    """`POST /v1/handoffs/{id}/dismiss`: nobody will answer; the script is told so."""
    check_query(request, ())
    row = await _row_of(request)
    actor = client_of(request).id
    return told(_view(await gateway_of(request).handoffs.dismiss(row, actor=actor)))


async def _row_of(request: Request) -> HandoffRow:
    """Return the question that the path names.

    Raises:
        NotFound: It is not known (any more), or not to this client.
    """
    handoff_id = request.path_params["handoff_id"]
    row = await gateway_of(request).handoffs.get(handoff_id)
    client = client_of(request)
    if not (_sees(client, row) and await _is_of_group(gateway_of(request), client, row)):
        raise NotFound(kind="hand-off", name=handoff_id[:80])
    return row


def _sees(client: Client, row: HandoffRow) -> bool:
    """True iff a client may know of a question: as of the task that asks."""
    if client.is_own_only and row.client != client.id:
        return False
    return client.may_use(row.script_name)


async def _is_of_group(state: GatewayState, client: Client, row: HandoffRow) -> bool:
    if not client.groups:
        return True
    try:
        return client.sees(await state.service.get(row.task_id))
    except NotFound:
        return False


def _status_of(request: Request) -> HandoffStatus | None:
    given = request.query_params.get("status")
    known = [status.value for status in HandoffStatus]
    if given is not None and given not in known:
        raise not_one_of("status", given, known)
    return None if given is None else HandoffStatus(given)


def _view(row: HandoffRow) -> dict[str, Any]:
    question = question_of(row)
    base = f"/v1/handoffs/{row.id}"
    image = None
    if question.image is not None:
        link = f"/v1/tasks/{row.task_id}/artifacts/{question.image.name}"
        image = {"name": question.image.name, "link": link}
    return {
        "id": row.id,
        "request_id": row.task_id,
        "attempt": row.attempt,
        "script_name": row.script_name,
        "status": row.status.value,
        "prompt": question.prompt,
        "fields": question.fields,
        "image": image,
        "created_at": moment(row.created_at),
        "expires_at": moment(row.expires_at),
        "ended_at": moment(row.ended_at),
        "ended_by": row.actor or None,
        "links": {
            "self": base,
            "answer": f"{base}/answer",
            "dismiss": f"{base}/dismiss",
            "task": f"/v1/tasks/{row.task_id}",
        },
    }


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/handoffs", handoffs, methods=["GET"]),
        Route("/v1/handoffs/{handoff_id}", show, methods=["GET"]),
        Route("/v1/handoffs/{handoff_id}/answer", answer, methods=["POST"]),
        Route("/v1/handoffs/{handoff_id}/resolve", answer, methods=["POST"]),
        Route("/v1/handoffs/{handoff_id}/dismiss", dismiss, methods=["POST"]),
    ]
