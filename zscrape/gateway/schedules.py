"""Schedules as people work with them: made, changed, paused, triggered, looked at."""

from __future__ import annotations

import time
from collections.abc import Callable
from math import floor
from typing import Final

import msgspec

from zscrape.core.timetable import Timetable
from zscrape.errors.requests import LockHeld, NotFound, ScheduleChanged, ScheduleExists
from zscrape.gateway.firing import reason_of
from zscrape.gateway.identifiers import new_task_id
from zscrape.gateway.plans import KeptSchedule, decode_kept, encode_kept
from zscrape.gateway.schedulebody import (
    ScheduleRequest,
    check_due,
    decode_change,
    task_request,
    timetable_of,
)
from zscrape.gateway.scheduler import Scheduler
from zscrape.gateway.tasks import Prepared, TaskService
from zscrape.store.schedules import (
    Occurrence,
    OccurrenceStatus,
    ScheduleRecord,
    ScheduleStore,
)
from zscrape.store.tasks import KeyTaken, TaskRow

_PREVIEW_NAME: Final = "preview"


class Schedules:
    """All schedules of a gateway; what is changed is kept first, then planned."""

    def __init__(
        self,
        *,
        store: ScheduleStore,
        scheduler: Scheduler,
        tasks: TaskService,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._scheduler = scheduler
        self._tasks = tasks
        self._clock = clock
        self.page = store.page
        self.occurrences = store.occurrences

    @property
    def occurrence_counts(self) -> dict[str, int]:
        """How many due moments became what, since this gateway started."""
        return self._scheduler.occurrence_counts

    async def create(self, asked: ScheduleRequest, *, client: str) -> ScheduleRecord:
        """Keep a new schedule and plan it.

        Raises:
            InvalidRequest, ParamsInvalid, ScriptError: What is asked cannot be used.
            ScheduleExists: Another one has its name.
            StorageError: Nothing can be kept now.
        """
        now = self._clock()
        schedule_id = new_task_id()
        kept = KeptSchedule(asked=asked, anchor_at=float(floor(now)), client=client)
        await self._check(kept, schedule_id, now)
        record = ScheduleRecord(
            id=schedule_id,
            name=asked.name,
            script_name=asked.script_name,
            body=encode_kept(kept),
            created_at=now,
            updated_at=now,
            cursor_at=now,
            is_paused=asked.paused,
        )
        try:
            await self._store.add(record)
        except KeyTaken:
            raise ScheduleExists(name=asked.name) from None
        self._scheduler.plan(record)
        return record

    async def preview(self, asked: ScheduleRequest, *, client: str) -> Timetable:
        """Find a schedule good without keeping anything; return when it would be due.

        Raises:
            InvalidRequest, ParamsInvalid, ScriptError: What is asked cannot be used.
        """
        now = self._clock()
        kept = KeptSchedule(asked=asked, anchor_at=float(floor(now)), client=client)
        return await self._check(kept, _PREVIEW_NAME, now)

    async def _check(self, kept: KeptSchedule, schedule_id: str, now: float) -> Timetable:
        """Find good when it is due, and that a task of it could be made now."""
        table = timetable_of(kept.asked, anchor_at=kept.anchor_at)
        check_due(table, now)
        await self._prepare(kept, schedule_id)
        return table

    async def _prepare(self, kept: KeptSchedule, schedule_id: str) -> Prepared:
        prepared = await self._tasks.prepare(
            task_request(kept.asked),
            origin="schedule",
            client=kept.client,
            own_lock=f"schedule:{schedule_id}",
        )
        prepared.row.schedule_id = schedule_id
        return prepared

    async def get(self, given: str) -> ScheduleRecord:
        """Return a schedule by its id or its name.

        Raises:
            NotFound: There is none.
            StorageError: It cannot be read.
        """
        record = await self._store.find(given)
        if record is None:
            raise NotFound(kind="schedule", name=given[:80])
        return record

    async def change(
        self, given: str, body: bytes, *, client: str, depth_limit: int
    ) -> ScheduleRecord:
        """Change a schedule; what has passed by then is not made up for.

        Raises:
            NotFound, InvalidRequest, ParamsInvalid, ScriptError: It cannot be done.
            ScheduleExists: Another one has its new name.
            ScheduleChanged: Somebody else has changed it at the same moment.
            StorageError: Nothing can be kept now.
        """
        before = await self.get(given)
        kept = decode_kept(before)
        # Whether it is paused is a state, and not part of what was asked once.
        asked = msgspec.structs.replace(kept.asked, paused=before.is_paused)
        asked = decode_change(body, asked, depth_limit=depth_limit)
        now = self._clock()
        is_new_grid = (asked.interval, asked.start) != (kept.asked.interval, kept.asked.start)
        anchor_at = float(floor(now)) if is_new_grid else kept.anchor_at
        kept = KeptSchedule(asked=asked, anchor_at=anchor_at, client=client)
        await self._check(kept, before.id, now)
        record = msgspec.structs.replace(
            before,
            name=asked.name,
            script_name=asked.script_name,
            body=encode_kept(kept),
            is_paused=asked.paused,
            pause_reason=before.pause_reason if asked.paused else "",
            failure_count=before.failure_count if asked.paused else 0,
        )
        return await self._keep(record, before, now)

    async def set_paused(self, given: str, *, is_paused: bool) -> ScheduleRecord:
        """Pause a schedule, or let it go on; what passed while it was paused is not made up for.

        Raises:
            NotFound: There is none.
            ScheduleChanged: Somebody else has changed it at the same moment.
            StorageError: Nothing can be kept now.
        """
        before = await self.get(given)
        if before.is_paused == is_paused:
            return before
        record = msgspec.structs.replace(
            before, is_paused=is_paused, pause_reason="", failure_count=0
        )
        return await self._keep(record, before, self._clock())

    async def _keep(
        self, record: ScheduleRecord, before: ScheduleRecord, now: float
    ) -> ScheduleRecord:
        record.revision = before.revision + 1
        record.updated_at = record.cursor_at = now
        try:
            is_kept = await self._store.change(record, revision=before.revision)
        except KeyTaken:
            raise ScheduleExists(name=record.name) from None
        if not is_kept:
            raise ScheduleChanged(name=before.name)
        self._scheduler.plan(record)
        return record

    async def remove(self, given: str) -> ScheduleRecord:
        """Forget a schedule and its occurrences; tasks that it has made go on.

        Raises:
            NotFound: There is none.
            StorageError: Nothing can be kept now.
        """
        record = await self.get(given)
        await self._store.remove(record.id)
        self._scheduler.forget(record.id)
        return record

    async def trigger(self, given: str) -> TaskRow:
        """Make a task of a schedule now, paused or not, by the same lock as its own.

        Raises:
            NotFound: There is no such schedule.
            LockHeld: Its lock is held and it would not wait.
            RefusedError, RequestError, ScriptError: The task is not accepted.
        """
        record = await self.get(given)
        prepared = await self._prepare(decode_kept(record), record.id)
        now = self._clock()
        occurrence = Occurrence(
            schedule_id=record.id,
            due_at=now,
            status=OccurrenceStatus.FIRED,
            at=now,
            task_id=prepared.row.id,
            is_manual=True,
        )
        try:
            row = await self._tasks.accept(prepared)
        except LockHeld as error:
            occurrence.task_id, occurrence.status = "", OccurrenceStatus.SKIPPED_DUE_TO_LOCK
            occurrence.reason, occurrence.detail = reason_of(error)
            await self._store.note(occurrence)
            raise
        await self._store.note(occurrence)
        return row
