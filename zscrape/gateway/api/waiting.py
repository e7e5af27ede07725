"""`POST /v1/tasks/wait`: one call that waits for the ends of many tasks.

Whoever has hundreds of tasks under way would else hold a connection for each, or ask again
and again.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route
from starlette.types import Receive

from zscrape.errors.refusals import Draining
from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    ClientGone,
    body_of,
    check_query,
    client_of,
    disconnect,
    gateway_of,
    language,
    told,
)
from zscrape.gateway.envelope import error_view, task_summary, task_view
from zscrape.gateway.requests import decode_wait
from zscrape.gateway.state import GatewayState
from zscrape.store.tasks import TaskRow


@needs("read", "run")
async def wait(request: Request) -> Response:
    """Answer as soon as `count` of the tasks have ended, or when `wait` seconds have passed.

    Told are those that have ended, and of those that are not known that they are not.
    """
    check_query(request, ())
    asked = decode_wait(await body_of(request))
    state = gateway_of(request)
    lang = language(request)
    rows: list[TaskRow] = []
    answers: list[dict[str, Any]] = []
    for task_id in dict.fromkeys(asked.ids):
        try:
            rows.append(await _seen(request, task_id))
        except NotFound as error:
            answers.append({"request_id": task_id, "error": error_view(error, lang)})
    live = [row for row in rows if not row.status.is_final]
    told_count = len(answers) + len(rows) - len(live)
    missing_count = min(asked.count, told_count + len(live)) - told_count
    if missing_count > 0 and asked.wait:
        wait_s = min(asked.wait, state.policy.max_wait_s)
        await _wait_for(state, live, missing_count, request.receive, wait_s)
    final = [row for row in rows if row.status.is_final]
    for row in final:
        await state.service.settled(row)
    ended: list[Any] = [_view(state, row, lang, asked.data) for row in final]
    if state.hub.is_closed and not (ended or answers):
        raise Draining
    pending_count = len(rows) - len(ended)
    return told({"tasks": [*answers, *ended], "pending_count": pending_count})


async def _seen(request: Request, task_id: str) -> TaskRow:
    """Return a task that this client may know of.

    Raises:
        NotFound: It is not known (any more), or not to this client.
    """
    row = await gateway_of(request).service.get(task_id)
    if not client_of(request).sees(row):
        raise NotFound(kind="task", name=task_id[:80])
    return row


def _view(state: GatewayState, row: TaskRow, lang: str, is_full: bool) -> Any:
    if is_full:
        return task_view(row, lang, inline_limit_bytes=state.policy.inline_limit_bytes)
    return task_summary(row, lang)


async def _wait_for(
    state: GatewayState, rows: list[TaskRow], count: int, receive: Receive, wait_s: float
) -> None:
    """Wait until so many of the tasks have ended, or the time is up.

    Raises:
        ClientGone: Nobody is left to answer.
    """
    enough: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    left_count = count

    def ended(_: asyncio.Future[None]) -> None:
        nonlocal left_count
        left_count -= 1
        if left_count <= 0 and not enough.done():
            enough.set_result(None)

    watched = [(row, state.service.watch_end(row)) for row in rows]
    for _, future in watched:
        future.add_done_callback(ended)
    gone = asyncio.create_task(disconnect(receive), name="wait for many")
    try:
        await asyncio.wait((enough, gone), timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
        if gone.done():
            raise ClientGone
    finally:
        gone.cancel()
        for row, future in watched:
            state.service.forget(row, future)


def routes() -> list[BaseRoute]:
    """Return the routes of this resource; before those of single tasks."""
    return [Route("/v1/tasks/wait", wait, methods=["POST"])]
