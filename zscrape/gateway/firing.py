"""Making the tasks of due moments that are claimed, and keeping what became of each."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Iterable
from typing import Any, Final

import msgspec

from zscrape.errors import StorageError, ZscrapeError
from zscrape.errors.refusals import Draining
from zscrape.errors.requests import LockHeld
from zscrape.gateway.plans import Plan
from zscrape.gateway.schedulebody import task_request
from zscrape.gateway.tasks import TaskService
from zscrape.store.schedules import Claim, Occurrence, OccurrenceStatus, ScheduleStore

_RETRY_S: Final = 1.0
_LAST_S: Final = 2.0  # for what is under way at the end
_SETTLE_S: Final = 0.05  # what became of moments is kept together with that of others
_SETTLE_COUNT: Final = 1_000
_FIRE_COUNT: Final = 64  # tasks made at once
_ENCODE: Final = msgspec.json.Encoder(enc_hook=str).encode


class Firing:
    """Everything that happens to a moment after it is claimed.

    `on_refused` hears that nothing can be kept, `on_failure` that a schedule made no task.
    """

    def __init__(
        self,
        *,
        store: ScheduleStore,
        tasks: TaskService,
        log: Any,
        clock: Callable[[], float],
        on_refused: Callable[[StorageError], None],
        on_failure: Callable[[str], None],
    ) -> None:
        self._store = store
        self._tasks = tasks
        self._log = log
        self._clock = clock
        self._on_refused = on_refused
        self._on_failure = on_failure
        self._room = asyncio.Semaphore(_FIRE_COUNT)
        self._running: set[asyncio.Task[None]] = set()
        self._settled: list[Occurrence] = []
        self._settling: asyncio.Task[None] | None = None
        self._busy: set[str] = set()  # ids of the tasks that are being made
        # How many moments became what, since this gateway started.
        ends = (each for each in OccurrenceStatus if each is not OccurrenceStatus.CLAIMED)
        self.counts = {status.value: 0 for status in ends}
        self.held_up: list[Occurrence] = []  # still claimed: the store could not take the task

    @property
    def is_idle(self) -> bool:
        """True iff nothing is under way, and what became of all moments is kept."""
        return not (self._running or self._settled or self.held_up)

    def fire(self, plan: Plan, occurrences: Iterable[Occurrence]) -> None:
        """Make the tasks of claimed moments of one schedule, one after the other."""
        moments = tuple(occurrences)
        self._busy.update(each.task_id for each in moments)
        self.spawn(self._fire_all(plan, moments))

    def count_missed(self, claim: Claim) -> None:
        """Count the moments that a claim says were missed."""
        missed = sum(each.status is OccurrenceStatus.MISSED for each in claim.occurrences)
        self.counts[OccurrenceStatus.MISSED.value] += missed

    def is_busy(self, occurrence: Occurrence) -> bool:
        """True iff the task of a moment is being made here."""
        return occurrence.task_id in self._busy

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Do something beside; `close` waits for it."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def close(self) -> None:
        """End what is under way, and keep what became of moments."""
        if self._running:
            _, late = await asyncio.wait(set(self._running), timeout=_LAST_S)
            for task in late:
                task.cancel()  # a moment that is claimed is taken up by the next start
            await asyncio.gather(*late, return_exceptions=True)
        if self._settling is not None:
            self._settling.cancel()
            await asyncio.gather(self._settling, return_exceptions=True)
        if self._settled:
            with contextlib.suppress(StorageError):  # told before, and taken up by the next start
                await self._store.settle(self._settled)
                self._settled.clear()

    async def _fire_all(self, plan: Plan, occurrences: tuple[Occurrence, ...]) -> None:
        task_ids = [each.task_id for each in occurrences]  # settling empties some
        try:
            async with self._room:
                for occurrence in occurrences:
                    await self._fire(plan, occurrence)
        finally:
            self._busy.difference_update(task_ids)

    async def _fire(self, plan: Plan, occurrence: Occurrence) -> None:
        """Make the task of a claimed moment, and note what became of it."""
        kept = plan.kept
        try:
            prepared = await self._tasks.prepare(
                task_request(kept.asked),
                origin="schedule",
                client=kept.client,
                task_id=occurrence.task_id,
                own_lock=f"schedule:{plan.id}",
            )
            prepared.row.schedule_id = plan.id
            await self._tasks.accept(prepared)
        except Draining:
            return  # still claimed: the next start takes it up
        except StorageError as error:
            # Whether the task was kept is not known; and nobody is at fault but the store.
            self.held_up.append(occurrence)
            self._on_refused(error)
        except LockHeld as error:
            self.settle(occurrence, OccurrenceStatus.SKIPPED_DUE_TO_LOCK, error)
        except ZscrapeError as error:
            self.settle(occurrence, OccurrenceStatus.FAILED_TO_START, error)
            self._on_failure(plan.id)
        except Exception:  # noqa: BLE001 - whatever it is, the moment is told of and others go on
            self._log.exception("schedule_not_fired", schedule_id=plan.id, name=plan.name)
            self.settle(occurrence, OccurrenceStatus.FAILED_TO_START, ZscrapeError())
            self._on_failure(plan.id)
        else:
            self.settle(occurrence, OccurrenceStatus.FIRED)

    def settle(
        self, occurrence: Occurrence, status: OccurrenceStatus, error: ZscrapeError | None = None
    ) -> None:
        """Note what became of a moment; it is kept with others in a moment."""
        occurrence.status = status
        self.counts[status.value] += 1
        occurrence.at = self._clock()
        if error is not None:
            occurrence.task_id = ""
            occurrence.reason, occurrence.detail = reason_of(error)
            told = {"schedule_id": occurrence.schedule_id, "due_at": occurrence.due_at}
            if isinstance(error, LockHeld):
                self._log.info("schedule_skipped", key=error.key, holder=error.holder, **told)
            else:
                self._log.warning("schedule_not_started", code=error.code, **told)
        self._settled.append(occurrence)
        if self._settling is None:
            self._settling = asyncio.get_running_loop().create_task(self._settle_all())

    async def _settle_all(self) -> None:
        """Keep what became of moments; a disk that refuses is tried again every second."""
        try:
            while self._settled:
                await asyncio.sleep(_SETTLE_S)
                told = self._settled[:_SETTLE_COUNT]
                try:
                    await self._store.settle(told)
                except StorageError as error:
                    self._on_refused(error)
                    await asyncio.sleep(_RETRY_S)
                else:
                    del self._settled[: len(told)]
        finally:
            self._settling = None


def reason_of(error: ZscrapeError) -> tuple[str, bytes]:
    """Return an error as it is kept: the key of its words, and what fills them."""
    return error.text_key, _ENCODE({**error.fields, "code": error.code})
