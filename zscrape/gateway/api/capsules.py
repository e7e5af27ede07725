"""`/v1/tasks/{id}/capsule`: all that is known of a failed attempt, as one archive."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from zscrape.errors.requests import NotFound
from zscrape.gateway.api.doors import needs
from zscrape.gateway.api.exchange import check_query, client_of, gateway_of, language, row_of, whole
from zscrape.gateway.api.files import bytes_answer
from zscrape.gateway.state import GatewayState
from zscrape.onuse import on_use
from zscrape.store.far import saved_bytes
from zscrape.store.tasks import LogEntry, Recorded, TaskRow

if TYPE_CHECKING:
    from zscrape.gateway import capsules
else:
    capsules = on_use("zscrape.gateway.capsules")

_LOG: Final = frozenset({"log"})
_ENTRIES_COUNT: Final = 5_000  # of the log's end, in which lines are looked for


@needs("read", "run")
async def show(request: Request) -> Response:
    """`GET /v1/tasks/{id}/capsule`: of its last failed attempt; `?attempt=1` of another one."""
    check_query(request, ("attempt",))
    row = await row_of(request)
    asked = whole(request, "attempt", None, low=1, high=2**31)
    if not capsules.has_capsule(row) or (asked is not None and asked > row.attempts):
        raise NotFound(kind="capsule", name=row.id)
    state = gateway_of(request)
    attempt, found = capsules.recorded(row, asked)
    workers = state.router.snapshot().workers
    # Who may only run a script is not given its source.
    is_reader = client_of(request).has_any(("read",))
    parts = capsules.Parts(
        row=row,
        attempt=attempt,
        log=await _log_of(state, row, attempt),
        recording=b"" if found is None else await _recording_of(state, row, found),
        worker=next((each for each in workers if each.id == row.worker_id), None),
        files=await state.catalogue.files(row.digest) if row.digest and is_reader else None,
        lang=language(request),
    )
    body = await asyncio.to_thread(capsules.capsule, parts)
    name = f"capsule-{row.id}-{attempt}.zip"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return bytes_answer(body, "application/zip", headers)


async def _log_of(state: GatewayState, row: TaskRow, attempt: int) -> list[LogEntry]:
    """Return the last lines that an attempt has said."""
    after = max(0, row.last_number - _ENTRIES_COUNT)
    found = await state.store.entries(row.id, after=after, kinds=_LOG, limit=_ENTRIES_COUNT)
    return [entry for entry in found if entry.attempt == attempt][-capsules.LOG_LINES_COUNT :]


async def _recording_of(state: GatewayState, row: TaskRow, found: Recorded) -> bytes:
    """Return what an attempt has recorded; empty once it is kept no more."""
    entry = await state.store.entry(row.id, found.file.number)
    if entry is None:
        return b""
    data = saved_bytes(entry.body)
    if data is not None:
        return data
    blob = await state.store.blob(row.id, "artifact", found.file.number)
    if blob is None:
        return b""
    return b"".join([piece async for piece in state.store.stream(blob)])


def routes() -> list[BaseRoute]:
    """Return the routes of this resource."""
    return [Route("/v1/tasks/{task_id}/capsule", show, methods=["GET"])]
