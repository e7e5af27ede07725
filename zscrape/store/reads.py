"""Tasks as they are read: those in memory from there, the others from the database."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from itertools import islice
from typing import TypeVar

from zscrape.errors.storage import BlobMissing, TaskDamaged
from zscrape.model import TaskId
from zscrape.store import queries
from zscrape.store.behind import WriteBehind
from zscrape.store.blobs import Blob
from zscrape.store.records import Damaged, Loaded
from zscrape.store.tasks import Ended, LogEntry, TaskPage, TaskQuery, TaskRow

Found = TypeVar("Found")


class SqlTaskReads(WriteBehind):
    """What can be asked of tasks in memory and of those on the disk alike."""

    async def get(self, task_id: TaskId) -> TaskRow | None:
        """Return the task, or None when it is not known (any more)."""
        task = self._live.get(task_id)
        if task is not None:
            return task.row
        return await self._database.read(lambda reader: queries.task(reader, "id = ?", task_id))

    async def page(self, query: TaskQuery) -> TaskPage:
        """Return one page of the tasks asked for, newest first."""
        await self.settled()
        found = await self._database.read(lambda reader: queries.page(reader, query))
        shown = found[: query.limit]
        has_more = len(found) > query.limit
        return TaskPage(
            rows=[self._freshest(loaded) for loaded in shown],
            next_before=shown[-1].seq if has_more and shown else None,
        )

    async def ended(self, *, since: float, limit: int) -> list[Ended]:
        """Return the tasks that ended at or after a moment, the last to end first."""
        await self.settled()
        return await self._database.read(partial(queries.ended, since=since, limit=limit))

    async def ended_since(self, moment: float) -> list[TaskRow]:
        """Return tasks that have ended at `moment` or later, without large answers.

        Raises:
            StorageError: The database cannot be read.
        """
        return await self._database.read(
            partial(queries.ended_since, moment=moment, owner=self._owner)
        )

    async def look_up(self, task_ids: Sequence[TaskId]) -> list[TaskRow]:
        """Return tasks as the database has them, with their answers; unknown ones are left out.

        Raises:
            StorageError: The database cannot be read.
        """
        return await self._database.read(partial(queries.by_id, task_ids=task_ids))

    def _freshest(self, loaded: Loaded) -> TaskRow:
        task = self._live.get(loaded.row.id)
        if task is None:
            return loaded.row
        # An end that is not on the disk yet may be taken back by a crash: it is told after that.
        is_early = task.row.is_durable and task.row.finished_at is not None and not task.is_done
        return loaded.row if is_early and self._error is None else task.row

    async def entries(
        self, task_id: TaskId, *, after: int = 0, kinds: frozenset[str] | None = None, limit: int
    ) -> list[LogEntry]:
        """Return up to `limit` log entries with a number above `after`."""
        task = self._live.get(task_id)
        if task is not None and after >= task.chunk_number:
            return list(islice(queries.fitting(task.log, after, kinds), limit))
        # The tail of now, since what is read below may have been overtaken by then.
        tail = None if task is None else [*task.log]
        load = self._load

        def look(reader: sqlite3.Connection) -> list[LogEntry]:
            last = queries.last_log(reader, task_id) if tail is None else tail
            border = last[0].number if last else None
            found = queries.entries(reader, task_id, after, kinds, limit, load)
            older = [each for each in found if border is None or each.number < border]
            return [*older, *queries.fitting(last, after, kinds)][:limit]

        return await self._read_log(task_id, look)

    async def items(
        self, task_id: TaskId, *, offset: int = 0, limit: int | None = None
    ) -> list[bytes]:
        """Return the items of the task's last attempt, as JSON documents."""
        row = await self.get(task_id)
        if row is None:
            return []
        attempt = row.attempts
        task = self._live.get(task_id)
        tail = () if task is None else tuple(task.log)
        border = tail[0].number if tail else None
        load = self._load

        is_elsewhere = task is None and row.finished_at is None  # and its tail in its row

        def look(reader: sqlite3.Connection) -> list[bytes]:
            nonlocal tail, border
            if is_elsewhere:
                tail = tuple(queries.last_log(reader, task_id))
                border = tail[0].number if tail else None
            # Not those chunks into which the tail may have gone meanwhile.
            found, count = queries.items(
                reader, task_id, attempt, before=border, offset=offset, limit=limit, load=load
            )
            rest = [each.body for each in tail if each.kind == "item" and each.attempt == attempt]
            end = None if limit is None else limit - len(found)
            return found + rest[max(0, offset - count) :][:end]

        return await self._read_log(task_id, look)

    async def entry(self, task_id: TaskId, number: int) -> LogEntry | None:
        """Return one log entry."""
        task = self._live.get(task_id)
        if task is not None:
            for each in task.log:
                if each.number == number:
                    return each

        load = self._load

        def look(reader: sqlite3.Connection) -> LogEntry | None:
            found = queries.entry(reader, task_id, number, load)
            if found is not None or task is not None:
                return found
            last = queries.last_log(reader, task_id)
            return next((each for each in last if each.number == number), None)

        return await self._read_log(task_id, look)

    @property
    def _load(self) -> Callable[[Blob], bytes] | None:
        return None if self._far is None else self._far.read

    async def _read_log(
        self, task_id: TaskId, look: Callable[[sqlite3.Connection], Found]
    ) -> Found:
        # The database's own threads must not wait for a place on another machine.
        pool = None if self._far is None or self._far.blobs.is_near else self._far.pool
        try:
            return await self._database.read(look, pool)
        except Damaged as error:
            raise TaskDamaged(task_id=task_id) from error

    async def blob(self, task_id: TaskId, kind: str, number: int) -> Blob | None:
        """Return what is kept outside of an entry; None when that is inside."""
        return await self._database.read(
            partial(queries.blob, task_id=task_id, kind=kind, number=number)
        )

    async def check_blob(self, blob: Blob) -> bool:
        """Look a blob over before it is given, where that is cheap; True iff a part is too.

        Raises:
            BlobMissing, BlobDamaged, BlobUnavailable: It cannot be given.
        """
        if self._far is None:  # the gateway before kept blobs, this one does not
            raise BlobMissing(key=blob.key)
        await self._far.check(blob)
        return self._far.blobs.is_near

    async def stream(
        self, blob: Blob, start: int = 0, stop: int | None = None
    ) -> AsyncIterator[bytes]:
        """Yield a blob, or a part of it, piece by piece; raises as `check_blob`."""
        if self._far is None:
            raise BlobMissing(key=blob.key)
        async for piece in self._far.stream(blob, start, stop):
            yield piece
