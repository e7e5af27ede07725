"""`/v1/deadletters`: tasks whose tries are used up, until somebody retries or drops them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    body_of,
    check_query,
    choice,
    client_of,
    gateway_of,
    is_true,
    language,
    moment_in,
    told,
    whole,
)
from zscrape.gateway.api.tasks import page_of, query_of
from zscrape.gateway.envelope import error_view
from zscrape.gateway.repeats import Repeated, Repeats
from zscrape.gateway.selections import (
    SELECTION_LIMIT_COUNT,
    LetterSelection,
    check_letters,
    decode_letter_selection,
)
from zscrape.store.tasks import TaskQuery, TaskRow

_REASONS: Final = ("", "retry_exhausted", "poison")
_TURN_COUNT: Final = 20  # letters handled before others get a turn


@needs("read", "run")
async def letters(request: Request) -> Response:
    """`GET /v1/deadletters`: newest first, page by page."""
    check_query(request, ("script", "reason", "since", "limit", "cursor"))
    asked = query_of(request)
    query = TaskQuery(
        script_name=asked.script_name,
        since=asked.since,
        limit=asked.limit,
        before=asked.before,
        is_dead_letter=True,
        dropped_reason=choice(request, "reason", "", _REASONS),
    )
    return await page_of(request, query, "deadletters")


@needs("run", act="deadletters.retry")
async def retry(request: Request) -> Response:
    """`POST /v1/deadletters/retry`: do them again, each as a new task with the same pin."""
    check_query(request, ())
    selection = decode_letter_selection(await body_of(request))
    client = client_of(request).id
    repeats = _repeats(request)

    async def again(row: TaskRow) -> Repeated:
        return await repeats.retry_letter(row, client=client)

    return told(await _each(request, selection, again, "retried"), 202)


@needs("admin", act="deadletters.drop")
async def drop(request: Request) -> Response:
    """`DELETE /v1/deadletters`: take them from the list; they stay in the history."""
    check_query(request, ("ids", "script", "reason", "since", "limit", "all"))
    query = request.query_params
    limit = whole(request, "limit", 1_000, low=1, high=SELECTION_LIMIT_COUNT)
    selection = LetterSelection(
        ids=tuple(name.strip() for name in query.get("ids", "").split(",") if name.strip()),
        script=query.get("script") or None,
        reason=choice(request, "reason", "", _REASONS) or None,
        since=query.get("since") or None,
        all=is_true(request, "all"),
        limit=limit or 1_000,
    )
    check_letters(selection)
    return told(await _each(request, selection, _repeats(request).drop_letter, "dropped"))


def _repeats(request: Request) -> Repeats:
    state = gateway_of(request)
    return Repeats(state.service, state.store)


async def _each(
    request: Request,
    selection: LetterSelection,
    act: Callable[[TaskRow], Awaitable[Repeated]],
    verb: str,
) -> dict[str, Any]:
    """Act on each letter of a selection; one that fails stops no other."""
    lang = language(request)
    query = TaskQuery(
        script_name=selection.script or "",
        dropped_reason=selection.reason or "",
        since=None if selection.since is None else moment_in(selection.since, "/since"),
        is_dead_letter=True,
        limit=selection.limit,
    )
    answers: list[dict[str, Any]] = []
    done_count = 0
    chosen = _repeats(request).chosen(selection.ids, query, client_of(request))
    async for task_id, row in chosen:
        if row is None:
            found = Repeated(task_id, error=NotFound(kind="task", name=task_id[:80]))
        else:
            found = await act(row)
        done_count += found.error is None
        answers.append(_told(found, lang))
        if len(answers) % _TURN_COUNT == 0:
            await asyncio.sleep(0)
    return {
        "deadletters": answers,
        f"{verb}_count": done_count,
        "failed_count": len(answers) - done_count,
    }


def _told(found: Repeated, lang: str) -> dict[str, Any]:
    if found.error is not None:
        return {"request_id": found.task_id, "error": error_view(found.error, lang)}
    if found.row is not None and found.row.id != found.task_id:
        return {"request_id": found.task_id, "retried_as": found.row.id}
    return {"request_id": found.task_id}


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/deadletters", letters, methods=["GET"]),
        Route("/v1/deadletters", drop, methods=["DELETE"]),
        Route("/v1/deadletters/retry", retry, methods=["POST"]),
    ]
