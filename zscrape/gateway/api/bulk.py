"""`/v1/tasks/{id}/retry` and `/v1/tasks/cancel`: a task again, and many ended at once."""

from __future__ import annotations

import asyncio
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    REQUEST_ID,
    body_of,
    check_query,
    client_of,
    gateway_of,
    language,
    moment_in,
    row_of,
    told,
)
from zscrape.gateway.api.scrape import idempotency_of
from zscrape.gateway.api.tasks import accepted_view
from zscrape.gateway.envelope import error_view
from zscrape.gateway.repeats import Repeats
from zscrape.gateway.selections import decode_task_selection
from zscrape.model import FINAL_STATES, TaskState
from zscrape.store.tasks import TaskQuery

_TURN_COUNT: Final = 50  # tasks ended before others get a turn


@needs("run")
async def retry(request: Request) -> Response:
    """`POST /v1/tasks/{id}/retry`: an ended task again, as a new one with the same pin."""
    check_query(request, ())
    row = await row_of(request)
    state = gateway_of(request)
    headers = dict(request.scope["headers"])
    idempotency = idempotency_of(headers, request.url.path.encode())
    client = client_of(request).id
    new = await Repeats(state.service, state.store).retry(
        row, client=client, idempotency=idempotency
    )
    request.scope[REQUEST_ID] = new.id
    location = {"Location": f"/v1/tasks/{new.id}"}
    return told({**accepted_view(new), "retry_of": row.id}, 202, location)


@needs("run", act="tasks.cancel_many")
async def cancel_many(request: Request) -> Response:
    """`POST /v1/tasks/cancel`: end the tasks that are named or fit; those that have ended stay."""
    check_query(request, ())
    selection = decode_task_selection(await body_of(request))
    state = gateway_of(request)
    lang = language(request)
    live = frozenset(TaskState) - FINAL_STATES
    query = TaskQuery(
        statuses=(selection.statuses or live) & live,
        script_name=selection.script or "",
        origin=selection.origin or "",
        since=None if selection.since is None else moment_in(selection.since, "/since"),
        limit=selection.limit,
    )
    answers: list[dict[str, Any]] = []
    cancelled_count = 0
    if not (selection.ids or query.statuses):
        return told({"tasks": answers, "cancelled_count": 0, "failed_count": 0})
    repeats = Repeats(state.service, state.store)
    async for task_id, row in repeats.chosen(selection.ids, query, client_of(request)):
        was_live = row is not None and not row.status.is_final
        try:
            if row is None:
                raise NotFound(kind="task", name=task_id[:80])  # noqa: TRY301 - told as that of `cancel`
            ended = await state.service.cancel(task_id)
        except NotFound as error:
            answers.append({"request_id": task_id, "error": error_view(error, lang)})
        else:
            cancelled_count += was_live
            answers.append({"request_id": task_id, "status": ended.status.value})
        if len(answers) % _TURN_COUNT == 0:
            await asyncio.sleep(0)
    failed_count = sum("error" in answer for answer in answers)
    return told(
        {"tasks": answers, "cancelled_count": cancelled_count, "failed_count": failed_count}
    )


def routes() -> list[BaseRoute]:
    """Return the routes of this resource; before those of single tasks."""
    return [
        Route("/v1/tasks/cancel", cancel_many, methods=["POST"]),
        Route("/v1/tasks/{task_id}/retry", retry, methods=["POST"]),
    ]
