"""`/v1/tasks/{id}/items`, `/result` and `/artifacts`: what a task has brought."""

from __future__ import annotations

import asyncio
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import (
    check_query,
    choice,
    gateway_of,
    one_line,
    row_of,
    told,
    whole,
)
from zscrape.gateway.api.files import blob_answer, bytes_answer
from zscrape.gateway.api.itempages import WHOLE_COUNT, paged_answer, pages
from zscrape.gateway.envelope import artifact_views
from zscrape.gateway.tables import XLSX_TYPE, Names, as_csv, as_xlsx, chosen
from zscrape.store.far import saved_bytes

_PAGE_LIMIT_COUNT: Final = 1_000_000
_MEDIA_TYPE: Final = re.compile(r"[A-Za-z0-9!#$&^_.+-]{1,64}/[A-Za-z0-9!#$&^_.+-]{1,64}")
# Shown by a browser without running anything; all else is offered as a download, since what
# a script saved from a site must not become a page of this gateway.
_SHOWN_TYPES: Final = frozenset(
    {"image/png", "image/jpeg", "image/gif", "image/webp", "text/plain", "application/pdf"}
)


@needs("read", "run")
async def items(request: Request) -> Response:
    """`GET /v1/tasks/{id}/items`: the items of the last attempt, whole or in part.

    `fields` and `omit` choose among the names of items that are objects, in every format.
    """
    check_query(request, ("format", "offset", "limit", "fields", "omit"))
    form = choice(request, "format", "json", ("json", "jsonl", "csv", "xlsx"))
    names = Names(fields=_names(request, "fields"), omitted=frozenset(_names(request, "omit")))
    offset = whole(request, "offset", 0, low=0, high=10**12) or 0
    limit = whole(request, "limit", None, low=1, high=_PAGE_LIMIT_COUNT)
    row = await row_of(request)
    store = gateway_of(request).store
    headers = {"X-Total-Count": str(row.item_count)}
    is_long = row.item_count - offset > WHOLE_COUNT and (limit is None or limit > WHOLE_COUNT)
    # A live task's next attempt would begin in the middle of it.
    if is_long and row.status.is_final and form in ("json", "jsonl"):
        found_pages = pages(store, row.id, offset, limit, names)
        return await paged_answer(found_pages, is_array=form == "json", headers=headers)
    found = await store.items(row.id, offset=offset, limit=limit)
    # Columns are known once every item has been read: that is work for a thread.
    if form == "csv":
        table = await asyncio.to_thread(as_csv, found, names)
        return bytes_answer(table, "text/csv; charset=utf-8", headers)
    if form == "xlsx":
        book = await asyncio.to_thread(as_xlsx, found, names)
        headers["Content-Disposition"] = f'attachment; filename="{row.id}.xlsx"'
        return bytes_answer(book, XLSX_TYPE, headers)
    if names.choose_any:
        found = await asyncio.to_thread(chosen, found, names)
    if form == "jsonl":
        lines = b"".join([one_line(item) + b"\n" for item in found])
        return bytes_answer(lines, "application/x-ndjson; charset=utf-8", headers)
    return bytes_answer(b"[%s]" % b",".join(found), "application/json", headers)


def _names(request: Request, parameter: str) -> tuple[str, ...]:
    given = request.query_params.get(parameter, "")
    return tuple(dict.fromkeys(name.strip() for name in given.split(",") if name.strip()))


@needs("read", "run")
async def result(request: Request) -> Response:
    """`GET /v1/tasks/{id}/result`: the script's data, as it gave it."""
    check_query(request, ())
    row = await row_of(request)
    if row.far_data is not None:
        return await blob_answer(request, row.far_data, "application/json", {})
    data = None if row.outcome is None else row.outcome.data
    if data is None:
        raise NotFound(kind="result", name=row.id)
    return bytes_answer(data, "application/json", {})


@needs("read", "run")
async def artifacts(request: Request) -> Response:
    """`GET /v1/tasks/{id}/artifacts`: the files that the script saved."""
    check_query(request, ())
    return told({"artifacts": artifact_views(await row_of(request))})


@needs("read", "run")
async def artifact(request: Request) -> Response:
    """`GET /v1/tasks/{id}/artifacts/{name}`: one of them."""
    check_query(request, ())
    row = await row_of(request)
    name = request.path_params["name"]
    found = next((each for each in row.artifacts if each.name == name), None)
    entry = None
    if found is not None:
        entry = await gateway_of(request).store.entry(row.id, found.number)
    if found is None or entry is None:
        raise NotFound(kind="artifact", name=name[:80])
    media_type = _media_type(found.content_type)
    shown = "inline" if media_type in _SHOWN_TYPES else "attachment"
    safe_name = re.sub(r"[^A-Za-z0-9._-]", "_", name)
    headers = {
        "Content-Disposition": f'{shown}; filename="{safe_name}"',
        "Content-Security-Policy": "sandbox; default-src 'none'",
    }
    data = saved_bytes(entry.body)
    if data is not None:
        return bytes_answer(data, media_type, headers)
    blob = await gateway_of(request).store.blob(row.id, "artifact", found.number)
    if blob is None:
        raise NotFound(kind="artifact", name=name[:80])
    return await blob_answer(request, blob, media_type, headers)


def _media_type(given: str) -> str:
    """Return the media type a script gave, or the general one when it is none."""
    bare = given.partition(";")[0].strip().lower()
    return bare if _MEDIA_TYPE.fullmatch(bare) else "application/octet-stream"


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [
        Route("/v1/tasks/{task_id}/items", items, methods=["GET"]),
        Route("/v1/tasks/{task_id}/result", result, methods=["GET"]),
        Route("/v1/tasks/{task_id}/artifacts", artifacts, methods=["GET"]),
        Route("/v1/tasks/{task_id}/artifacts/{name}", artifact, methods=["GET"]),
    ]
