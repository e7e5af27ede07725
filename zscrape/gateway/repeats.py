"""Ended tasks that are done again: the same bytes, the same parameters, a new task.

An ended task never changes, so doing it again is another task that says which one it repeats.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec
from msgspec import Raw, Struct

from zscrape.errors import ZscrapeError
from zscrape.errors.requests import NotFound, TaskRunning
from zscrape.gateway.acceptance import Idempotency
from zscrape.gateway.clients import Client
from zscrape.gateway.intake import Prepared
from zscrape.gateway.requests import RetryRequest, TaskRequest, WebhookRequest
from zscrape.gateway.tasks import TaskService
from zscrape.model import TaskId
from zscrape.store.tasks import TaskQuery, TaskRow, TaskStore

_PAGE_COUNT = 200


class Repeated(Struct, frozen=True):
    """What became of one dead letter: the new task, or why there is none."""

    task_id: TaskId
    row: TaskRow | None = None
    error: ZscrapeError | None = None


class Repeats:
    """Does ended tasks again, and empties the dead letters."""

    def __init__(self, service: TaskService, store: TaskStore) -> None:
        self._service = service
        self._store = store

    async def retry(
        self, row: TaskRow, *, client: str, idempotency: Idempotency | None = None
    ) -> TaskRow:
        """Do an ended task again; a dead letter is none any more then.

        Raises:
            TaskRunning: It has not ended.
            ScriptError, ParamsInvalid: Its script is not to be had any more, or has changed.
            RefusedError, LockHeld: The new task was not accepted.
            IdempotencyConflict: The key came with another call.
        """
        if not row.status.is_final:
            raise TaskRunning(task_id=row.id, status=row.status.value)
        if idempotency is not None:
            twin = await self._service.reattach(client, idempotency)
            if twin is not None:
                return twin
        prepared = await self._prepare(row, client)
        is_taken = await self._store.take_dead_letter(row.id, retried_as=prepared.row.id)
        return await self._accept(row, prepared, idempotency, is_taken=is_taken)

    async def retry_letter(self, row: TaskRow, *, client: str) -> Repeated:
        """Do a dead letter again, unless somebody else does so at the same moment."""
        try:
            prepared = await self._prepare(row, client) if row.is_dead_letter else None
            if prepared is None or not await self._store.take_dead_letter(
                row.id, retried_as=prepared.row.id
            ):
                return Repeated(row.id, error=NotFound(kind="dead letter", name=row.id))
            new = await self._accept(row, prepared, None, is_taken=True)
        except ZscrapeError as error:
            return Repeated(row.id, error=error)
        return Repeated(row.id, row=new)

    async def _prepare(self, row: TaskRow, client: str) -> Prepared:
        prepared = await self._service.prepare(
            _request_of(row), origin="retry", client=client, trace_id=row.trace_id
        )
        prepared.row.retry_of = row.id
        return prepared

    async def _accept(
        self, row: TaskRow, prepared: Prepared, idempotency: Idempotency | None, *, is_taken: bool
    ) -> TaskRow:
        try:
            return await self._service.accept(prepared, idempotency)
        except ZscrapeError:
            if is_taken:
                await self._store.return_dead_letter(row.id)
            raise

    async def drop_letter(self, row: TaskRow) -> Repeated:
        """Take a task from the dead letters; it stays in the history."""
        if await self._store.take_dead_letter(row.id):
            return Repeated(row.id, row=row)
        return Repeated(row.id, error=NotFound(kind="dead letter", name=row.id))

    async def chosen(
        self, ids: tuple[str, ...], query: TaskQuery, client: Client
    ) -> AsyncIterator[tuple[TaskId, TaskRow | None]]:
        """Yield the tasks with these ids, None for one that is not known; else those asked for.

        What `client` may not see is not known to it.
        `query.limit` bounds them. What changes meanwhile is seen as it is when its turn comes.
        """
        if ids:
            for task_id in ids[: query.limit]:
                row = await self._find(task_id)
                yield task_id, row if row is not None and client.sees(row) else None
            return
        query = client.within(query)
        left_count, before = query.limit, query.before
        while left_count > 0:
            page = await self._store.page(_part(query, min(left_count, _PAGE_COUNT), before))
            for row in page.rows:
                yield row.id, row
            left_count -= len(page.rows)
            before = page.next_before
            if before is None:
                return

    async def _find(self, task_id: TaskId) -> TaskRow | None:
        try:
            return await self._service.get(task_id)
        except NotFound:
            return None


def _part(query: TaskQuery, limit: int, before: int | None) -> TaskQuery:
    return msgspec.structs.replace(query, limit=limit, before=before)


def _webhook_of(row: TaskRow) -> WebhookRequest | None:
    if not row.webhook_url:
        return None
    return msgspec.convert({"url": row.webhook_url, "events": row.webhook_events}, WebhookRequest)


def _request_of(row: TaskRow) -> TaskRequest:
    """Return the request that a task came from, with its pin in place of the version asked for."""
    retry = row.retry
    return TaskRequest(
        script_name=row.script_name,
        parameters=Raw(row.parameters),
        version=row.digest or row.version or None,
        timeout=row.timeout_s,
        priority=row.priority,
        tags=row.tags,
        lock_key=row.lock_key or None,
        overlap=row.overlap if row.lock_key else None,
        retry=RetryRequest(
            max=retry.max_count,
            backoff=retry.backoff_s,
            cap=retry.cap_s,
            on=retry.on or None,
            route={code: tuple(sorted(tags)) for code, tags in retry.routes.items()},
        ),
        metadata=row.metadata or None,
        webhook=_webhook_of(row),
    )
