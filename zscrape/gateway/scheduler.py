"""The scheduler: sleeps until something is due, claims the moment, makes its task.

Who claims a moment fires it: the row of the occurrence is inserted before anything else
happens, with the id that the task will have. A gateway that dies in between leaves a claimed
row, and by that id it is known afterwards whether the task was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from typing import Any, Final

from zscrape.errors import StorageError, ZscrapeError
from zscrape.errors.requests import NotFound
from zscrape.gateway.claims import claim_of, is_in_time
from zscrape.gateway.firing import Firing
from zscrape.gateway.plans import Agenda, Plan, plan_of
from zscrape.gateway.tasks import TaskService
from zscrape.model import TaskState
from zscrape.store.schedules import (
    Claim,
    Occurrence,
    OccurrenceStatus,
    ScheduleRecord,
    ScheduleStore,
)
from zscrape.store.tasks import TaskRow

# A wall clock that was set is seen within this; nothing else needs so many looks.
_LOOK_S: Final = 1.0
_JUMP_S: Final = 2.0
_RETRY_S: Final = 1.0
_CLAIM_COUNT: Final = 200  # schedules in one transaction
_TURN_COUNT: Final = 50  # schedules planned before others get a turn
_LOOK_COUNT: Final = 10  # schedules looked at; one of seconds has hundreds of moments to tell
_REFRESH_S: Final = 10.0  # between looks at what other gateways have changed
_ABANDONED_S: Final = 300.0  # no script takes longer to be resolved
_LOAD_COUNT: Final = 1_000
_HOUR_S: Final = 3_600.0
_DAY_S: Final = 86_400.0
_FAILED: Final = frozenset({TaskState.FAILED, TaskState.TIMED_OUT})


class Scheduler:
    """Fires schedules. One event loop uses it.

    `life`: where other gateways use the same store, the name of this gateway's life among
    them; a moment that was claimed a moment ago may be theirs.
    """

    def __init__(
        self,
        *,
        store: ScheduleStore,
        tasks: TaskService,
        log: Any,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        life: Callable[[], str] | None = None,
        kept_days: float = 30.0,
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._log = log
        self._clock = clock
        self._monotonic = monotonic
        self._life = life or _alone
        self._is_shared = life is not None
        self._revisions: dict[str, int] = {}  # of every schedule that was looked at
        self._refresh_at = 0.0
        self._kept_s = kept_days * _DAY_S
        self._agenda = Agenda()
        self._wake = asyncio.Event()
        self._firing = Firing(
            store=store,
            tasks=tasks,
            log=log,
            clock=clock,
            on_refused=self._refused,
            on_failure=lambda schedule_id: self._count_end(schedule_id, is_ok=False),
        )
        self._offset_s = clock() - monotonic()
        self._sweep_at = 0.0
        self._is_refused = False
        self._has_begun = False
        self._loop: asyncio.Task[None] | None = None

    def __len__(self) -> int:
        """Return how many schedules are planned."""
        return len(self._agenda)

    @property
    def occurrence_counts(self) -> dict[str, int]:
        """How many due moments became what, since this gateway started."""
        return self._firing.counts

    # ---- life ------------------------------------------------------------------------

    async def start(self) -> None:
        """Plan every schedule and begin, with what was claimed and never fired.

        Raises:
            StorageError: The schedules cannot be read.
        """
        now = self._clock()
        after = ""
        while True:
            page = await self._store.page(after=after, limit=_LOAD_COUNT)
            for place, record in enumerate(page):
                self._plan(record, now)
                if place % _TURN_COUNT == _TURN_COUNT - 1:
                    await asyncio.sleep(0)
            if len(page) < _LOAD_COUNT:
                break
            after = page[-1].name
        self._loop = asyncio.create_task(self._run(), name="scheduler")

    async def close(self) -> None:
        """Fire nothing more, and keep what became of what was fired."""
        if self._loop is not None:
            self._loop.cancel()
            await asyncio.gather(self._loop, return_exceptions=True)
        await self._firing.close()

    def plan(self, record: ScheduleRecord) -> None:
        """Take in a schedule that is new or has changed."""
        self._plan(record, self._clock())
        self._wake.set()

    def forget(self, schedule_id: str) -> None:
        """Fire a schedule no more."""
        self._agenda.drop(schedule_id)
        self._revisions.pop(schedule_id, None)

    def _plan(self, record: ScheduleRecord, now: float) -> None:
        if record.revision < self._revisions.get(record.id, 0):
            return  # it was changed here while this was read
        self._agenda.drop(record.id)
        self._revisions[record.id] = record.revision
        if record.is_paused:
            return
        try:
            self._agenda.put(plan_of(record, now))
        except ZscrapeError as error:
            told = {"schedule_id": record.id, "name": record.name, "reason": str(error)}
            self._log.error("schedule_damaged", **told)

    # ---- the loop --------------------------------------------------------------------

    async def _run(self) -> None:
        while True:
            try:
                await self._turn()
            except StorageError as error:
                self._refused(error)
                await asyncio.sleep(_RETRY_S)
            except Exception:  # noqa: BLE001 - the outermost place: told, and gone on after a rest
                self._log.exception("scheduler_failed")
                await asyncio.sleep(_RETRY_S)

    async def _turn(self) -> None:
        self._watch_clock()
        now = self._clock()
        if not self._has_begun:  # before the first claim of its own
            await self._take_up(now)
            self._has_begun = True
        if self._firing.held_up:
            await self._take_again()
        if now >= self._sweep_at:
            self._sweep_at = now + _HOUR_S
            await self._store.sweep(before=now - self._kept_s)
        if self._is_shared and now >= self._refresh_at:
            self._refresh_at = now + _REFRESH_S
            await self._refresh(now)
        due = self._agenda.pop_due(now, _CLAIM_COUNT)
        if due:
            await self._deal(due, now)
            return
        next_at = self._agenda.next_at()
        delay_s = _LOOK_S if next_at is None else min(_LOOK_S, max(0.0, next_at - now))
        self._wake.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await self._wake.wait()

    async def _refresh(self, now: float) -> None:
        """Take in what other gateways have changed, and what those that are gone have claimed."""
        before = dict(self._revisions)
        found = await self._store.revisions()
        for schedule_id, revision in before.items():
            # One that was made or changed here meanwhile may be newer than what was read.
            if schedule_id not in found and self._revisions.get(schedule_id) == revision:
                self.forget(schedule_id)
        for schedule_id, revision in found.items():
            if self._revisions.get(schedule_id) != revision:
                record = await self._store.find(schedule_id)
                if record is not None:
                    self._plan(record, now)
        await self._take_up(now)

    def _watch_clock(self) -> None:
        """See that the wall clock was set: forward is lateness, backward means to plan anew.

        What has fired already is not fired again: its row is there.
        """
        offset_s = self._clock() - self._monotonic()
        jump_s, self._offset_s = offset_s - self._offset_s, offset_s
        if abs(jump_s) < _JUMP_S:
            return
        self._log.warning("clock_jumped", seconds=round(jump_s, 3))
        if jump_s < 0:
            now = self._clock()
            for plan in self._agenda:
                plan.advance(min(plan.cursor_at, now))
                self._agenda.put(plan)

    def _refused(self, error: StorageError) -> None:
        if not self._is_refused:
            self._is_refused = True
            self._log.error("schedules_held_up", code=error.code, reason=error.reason)

    # ---- due moments -----------------------------------------------------------------

    async def _deal(self, plans: Sequence[Plan], now: float) -> None:
        """Claim what is due of these plans, fire it, and plan what comes next."""
        undone = dict.fromkeys(plans)
        try:
            claims: list[tuple[Plan, Claim]] = []
            for place, plan in enumerate(plans):
                claims.append((plan, claim_of(plan, now, self._life())))
                if place % _LOOK_COUNT == _LOOK_COUNT - 1:
                    await asyncio.sleep(0)
            answers = await self._store.claim([claim for _, claim in claims])
            if self._is_refused:
                self._is_refused = False
                self._log.info("schedules_go_on")
            stale: list[Plan] = []
            for (plan, claim), answer in zip(claims, answers, strict=True):
                if answer.is_stale:
                    stale.append(plan)
                    continue
                del undone[plan]
                self._advance(plan, claim.cursor_at)
                self._firing.count_missed(claim)
                mine = [each for each in claim.occurrences if each.due_at in answer.due_ats]
                if mine:
                    self._firing.fire(plan, mine)
            for plan in stale:
                await self._reload(plan)
                del undone[plan]
        finally:
            for plan in undone:  # they are due as before
                if self._agenda.get(plan.id) is plan:
                    self._agenda.put(plan)

    def _advance(self, plan: Plan, cursor_at: float) -> None:
        if self._agenda.get(plan.id) is plan:  # else it was changed while it was claimed
            plan.advance(cursor_at)
            self._agenda.put(plan)

    async def _reload(self, plan: Plan) -> None:
        """Take in what has become of a schedule that somebody else has changed."""
        if self._agenda.get(plan.id) is not plan:
            return
        record = await self._store.find(plan.id)
        if record is None:
            self._agenda.drop(plan.id)
        else:
            self._plan(record, self._clock())

    async def _take_up(self, now: float) -> None:
        """Deal with moments that were claimed, and of which nothing more was heard."""
        if self._is_shared:
            found = await self._store.abandoned(before=now - _ABANDONED_S)
        else:
            found = await self._store.unsettled(before=now)
        for occurrence in found:
            if not self._firing.is_busy(occurrence):
                await self._take_over(occurrence)

    async def _take_again(self) -> None:
        """Deal with moments whose tasks the store could not take, as soon as it can."""
        held_up = self._firing.held_up
        try:
            while held_up:
                await self._take_over(held_up[0])
                del held_up[0]
        except StorageError as error:
            self._refused(error)

    async def _take_over(self, occurrence: Occurrence) -> None:
        """Fire a claimed moment, unless its task is there already or it is too late by now."""
        is_made = await self._is_made(occurrence)
        now, life = self._clock(), self._life()
        if not await self._store.take_over(occurrence, at=now, claimer=life):
            return  # another gateway has
        occurrence.at, occurrence.claimer = now, life
        plan = self._agenda.get(occurrence.schedule_id)
        if is_made:
            self._firing.settle(occurrence, OccurrenceStatus.FIRED)
        elif plan is not None and is_in_time(plan, occurrence, now):
            self._firing.fire(plan, [occurrence])
        else:
            occurrence.task_id, occurrence.reason = "", "gateway_lost"
            self._firing.settle(occurrence, OccurrenceStatus.MISSED)

    async def _is_made(self, occurrence: Occurrence) -> bool:
        try:
            await self._tasks.get(occurrence.task_id)
        except NotFound:
            return False
        return True

    # ---- ends of tasks ---------------------------------------------------------------

    def ended(self, row: TaskRow) -> None:
        """Hear that a task has ended: failures in a row may pause its schedule."""
        if row.schedule_id and row.status is not TaskState.CANCELLED:
            self._count_end(row.schedule_id, is_ok=row.status not in _FAILED)

    def _count_end(self, schedule_id: str, *, is_ok: bool) -> None:
        plan = self._agenda.get(schedule_id)
        if plan is None or (is_ok and not plan.failure_count and not self._is_shared):
            return  # nothing changes; what other gateways have counted only the store knows
        plan.failure_count = 0 if is_ok else plan.failure_count + 1
        self._firing.spawn(self._note_end(plan, is_ok=is_ok))

    async def _note_end(self, plan: Plan, *, is_ok: bool) -> None:
        limit = plan.kept.asked.pause_on_failure
        try:
            is_paused = await self._store.note_end(
                plan.id, is_ok=is_ok, limit=limit, at=self._clock()
            )
        except StorageError as error:
            self._refused(error)
            return
        if is_paused:
            self._agenda.drop(plan.id)
            self._log.warning(
                "schedule_paused", schedule_id=plan.id, name=plan.name, failure_count=limit
            )


def _alone() -> str:
    """Return what stands for the life of the only gateway."""
    return ""
