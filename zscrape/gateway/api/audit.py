"""`/v1/audit`: who did what, when and from where."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    check_query,
    choice,
    gateway_of,
    moment_in,
    told,
    whole,
)
from zscrape.gateway.envelope import encode, moment
from zscrape.gateway.tables import csv_line
from zscrape.store.audit import AuditLine, AuditQuery, AuditStore

_PAGE_COUNT: Final = 1_000
_LIMIT_COUNT: Final = 10**9
_COLUMNS: Final = ("at", "actor", "action", "target", "address", "result", "request_id")


@needs("admin")
async def audit(request: Request) -> Response:
    """`GET /v1/audit`: newest first, page by page, or as a whole with `format=jsonl|csv`."""
    check_query(request, ("since", "actor", "action", "limit", "cursor", "format"))
    form = choice(request, "format", "json", ("json", "jsonl", "csv"))
    since = request.query_params.get("since")
    query = AuditQuery(
        since=None if since is None else moment_in(since, "since"),
        actor=request.query_params.get("actor", ""),
        action=request.query_params.get("action", ""),
        before=whole(request, "cursor", None, low=1, high=10**17),
    )
    store = gateway_of(request).audit.store
    if form == "json":
        limit = whole(request, "limit", 50, low=1, high=_PAGE_COUNT) or 50
        page = await store.page(msgspec.structs.replace(query, limit=limit))
        cursor = None if page.next_before is None else str(page.next_before)
        return told({"audit": [_view(line) for line in page.lines], "next_cursor": cursor})
    limit = whole(request, "limit", _LIMIT_COUNT, low=1, high=_LIMIT_COUNT) or _LIMIT_COUNT
    headers = {
        "Content-Disposition": f'attachment; filename="audit.{form}"',
        "Cache-Control": "no-store",
    }
    if form == "csv":
        media_type = "text/csv; charset=utf-8"
        return StreamingResponse(
            _table(store, query, limit), headers=headers, media_type=media_type
        )
    media_type = "application/x-ndjson; charset=utf-8"
    return StreamingResponse(_lines(store, query, limit), headers=headers, media_type=media_type)


def _view(line: AuditLine) -> dict[str, Any]:
    return {**{name: getattr(line, name) for name in _COLUMNS}, "at": moment(line.at)}


async def _lines(store: AuditStore, query: AuditQuery, limit: int) -> AsyncIterator[bytes]:
    async for lines in _chunks(store, query, limit):
        yield b"".join([encode(_view(line)) + b"\n" for line in lines])


async def _table(store: AuditStore, query: AuditQuery, limit: int) -> AsyncIterator[bytes]:
    yield csv_line(_COLUMNS)
    async for lines in _chunks(store, query, limit):
        yield b"".join([csv_line(_cells(line)) for line in lines])


def _cells(line: AuditLine) -> list[Any]:
    at = moment(line.at)
    return ["" if at is None else at.isoformat(), *(getattr(line, name) for name in _COLUMNS[1:])]


async def _chunks(
    store: AuditStore, query: AuditQuery, limit: int
) -> AsyncIterator[list[AuditLine]]:
    before = query.before
    while limit > 0:
        size = min(limit, _PAGE_COUNT)
        page = await store.page(msgspec.structs.replace(query, limit=size, before=before))
        yield page.lines
        limit -= len(page.lines)
        before = page.next_before
        if before is None:
            return


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/v1/audit", audit, methods=["GET"])]
