"""`/v1/tasks/export`: the history as it stands, in one stream."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    check_query,
    choice,
    client_of,
    gateway_of,
    is_true,
    language,
    whole,
)
from zscrape.gateway.api.tasks import query_of
from zscrape.gateway.envelope import TaskView, encode, task_view
from zscrape.gateway.state import GatewayState
from zscrape.gateway.tables import csv_line
from zscrape.store.tasks import TaskQuery, TaskRow

_FILTERS: Final = ("status", "script", "origin", "since")
_PAGE_COUNT: Final = 1_000
_CHUNK_COUNT: Final = 50  # tasks written before others get a turn
_LIMIT_COUNT: Final = 10**9

# Columns of the table; what nests stands as JSON.
_COLUMNS: Final = (
    *("request_id", "status", "script_name", "version", "digest", "repository", "origin"),
    *("client", "priority", "tags", "lock_key", "timeout", "parameters", "metadata"),
    *("worker_id", "attempts", "retry_count", "item_count", "queue_time", "execution_time"),
    *("created_at", "assigned_at", "started_at", "finished_at", "next_retry_at", "last_error"),
    *("dropped_reason", "retry_of", "retried_as"),
)
_ERROR_COLUMNS: Final = ("code", "message", "type", "traceback")


@needs("read", "run")
async def export(request: Request) -> Response:
    """`GET /v1/tasks/export`: every task that fits, newest first, with the full text of errors.

    A task that is accepted meanwhile is not in it; `?data=1` adds what the tasks brought.
    """
    check_query(request, (*_FILTERS, "limit", "format", "data"))
    form = choice(request, "format", "jsonl", ("jsonl", "csv"))
    limit = whole(request, "limit", _LIMIT_COUNT, low=1, high=_LIMIT_COUNT) or _LIMIT_COUNT
    has_data = is_true(request, "data")
    query = client_of(request).within(query_of(request, limit_high=_LIMIT_COUNT))
    told = _Told(gateway_of(request), language(request), has_data)
    if form == "csv":
        media_type, chunks = "text/csv; charset=utf-8", told.table(query, limit)
    else:
        media_type, chunks = "application/x-ndjson; charset=utf-8", told.lines(query, limit)
    headers = {
        "Content-Disposition": f'attachment; filename="tasks.{form}"',
        "Cache-Control": "no-store",
    }
    return StreamingResponse(chunks, headers=headers, media_type=media_type)


class _Told:
    """Tasks as lines, a bounded number of them in memory at once."""

    def __init__(self, state: GatewayState, lang: str, has_data: bool) -> None:
        self._state = state
        self._lang = lang
        self._has_data = has_data

    async def lines(self, query: TaskQuery, limit: int) -> AsyncIterator[bytes]:
        async for rows in self._chunks(query, limit):
            yield b"".join([encode(self._view(row)) + b"\n" for row in rows])

    async def table(self, query: TaskQuery, limit: int) -> AsyncIterator[bytes]:
        columns = (*_COLUMNS, *(f"error_{name}" for name in _ERROR_COLUMNS))
        yield csv_line((*columns, "data") if self._has_data else columns)
        async for rows in self._chunks(query, limit):
            yield b"".join([csv_line(self._cells(row)) for row in rows])

    async def _chunks(self, query: TaskQuery, limit: int) -> AsyncIterator[list[TaskRow]]:
        before: int | None = None
        while limit > 0:
            part = msgspec.structs.replace(query, limit=min(limit, _PAGE_COUNT), before=before)
            page = await self._state.store.page(part)
            for start in range(0, len(page.rows), _CHUNK_COUNT):
                yield page.rows[start : start + _CHUNK_COUNT]
                await asyncio.sleep(0)
            limit -= len(page.rows)
            before = page.next_before
            if before is None:
                return

    def _view(self, row: TaskRow) -> TaskView:
        limit_bytes = self._state.policy.inline_limit_bytes if self._has_data else -1
        view = task_view(row, self._lang, inline_limit_bytes=limit_bytes)
        view.links = UNSET
        return view

    def _cells(self, row: TaskRow) -> list[Any]:
        view = self._view(row)
        cells = [_cell(getattr(view, name)) for name in _COLUMNS]
        cells += [
            None if view.error is None else getattr(view.error, name) for name in _ERROR_COLUMNS
        ]
        if self._has_data:
            cells.append(_cell(view.data))
        return cells


def _cell(value: Any) -> Any:
    """Return a value as CSV takes it: texts and numbers as they are, all else as JSON."""
    if value is None or value == () or value == {}:
        return None
    if isinstance(value, (str, int, float)):
        return value
    if isinstance(value, datetime):
        return value.isoformat()
    return msgspec.json.encode(value).decode()


def routes() -> list[BaseRoute]:
    """Return the routes of this resource; before those of single tasks."""
    return [Route("/v1/tasks/export", export, methods=["GET"])]
