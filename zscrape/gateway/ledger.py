"""The tasks that have not ended, and how each fact of the dispatcher changes them.

Every change is told to the task's log and to who waits for it; nothing here waits itself.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import msgspec
from msgspec import Struct

from zscrape.core.effects import (
    DispatcherEffect,
    TaskAccepted,
    TaskAdopted,
    TaskAssigned,
    TaskFinished,
    TaskQueued,
    TaskRecords,
    TaskStarted,
)
from zscrape.gateway.distrust import invalid, json_fault
from zscrape.gateway.events import EventHub
from zscrape.model import (
    FINAL_STATE_BY_CODE,
    IN_FLIGHT_STATES,
    Attempt,
    OutcomeCode,
    Record,
    SavedFile,
    TaskId,
    TaskState,
)
from zscrape.store.tasks import (
    NO_DELAY_S,
    ArtifactRow,
    Recorded,
    SaidKind,
    StateChange,
    TaskRow,
    TaskStore,
)

_KINDS: Final[Mapping[str, SaidKind]] = {
    "log": "log",
    "progress": "progress",
    "item": "item",
    "artifact": "artifact",
    "recording": "artifact",  # kept as one, and no file of the script's
}

_RECORDINGS_COUNT: Final = 5
_BEGUN: Final = frozenset({TaskState.RUNNING, TaskState.WAITING})


class _Progress(Struct):
    fraction: float = 0.0
    text: str = ""


# Hears of a task's row, what of it was not JSON, and what is wrong with that.
InvalidListener: TypeAlias = Callable[[TaskRow, str, str], None]

# Hears of attempts whose ends are safe: of all that one transaction has kept, at once.
StoredListener: TypeAlias = Callable[[Sequence[Attempt]], object]


def tell_nobody(_row: TaskRow, _kind: str, _fault: str) -> None:
    """Tell nobody: the listener where there is none."""


EndListener: TypeAlias = Callable[[TaskRow], None]


def let_pass(_row: TaskRow) -> None:
    """Add nothing: the listener where there is none."""


# Hears of a task that waits for a person without a slot; False: since before a restart.
ParkedListener: TypeAlias = Callable[[TaskRow, bool], None]


def wake_nobody(_row: TaskRow, _is_new: bool) -> None:
    """Leave it parked: the listener where there is none."""


_ARTIFACT = msgspec.json.Decoder(SavedFile)
_PROGRESS = msgspec.json.Decoder(_Progress)


class Ledger:
    """The rows of live tasks, kept up to date.

    `on_invalid` hears, once per task, of what its worker sent that is not JSON; `on_end` gets
    the row of a task that ends, before that is kept and after the first of those who wait for
    it were answered, and may add to it; `on_stored` hears that the end of an attempt is safe,
    once the store says so.
    """

    def __init__(
        self,
        *,
        store: TaskStore,
        hub: EventHub,
        clock: Callable[[], float] = time.time,
        on_invalid: InvalidListener = tell_nobody,
        on_end: EndListener = let_pass,
        on_stored: StoredListener | None = None,
    ) -> None:
        self._store = store
        self._news, self._ends = hub.news, hub.ends
        self._on_stored = on_stored
        # Of which it is to hear, each with the entry of its task's log that is to be safe first.
        self._unsafe: dict[TaskId, list[tuple[Attempt, int]]] = {}
        self._orphans: set[TaskId] = set()  # of a call that a restart has cut
        self._clock = clock
        self._on_invalid = on_invalid
        self._on_end = on_end
        self.on_parked: ParkedListener = wake_nobody
        self._distrusted: set[TaskId] = set()  # live ones of which `on_invalid` has heard
        store.hear_kept(self._kept)
        self._live: dict[TaskId, TaskRow] = {}
        self._staying: set[TaskId] = set()  # those that `drained` waits for
        self._has_left = asyncio.Event()
        self.appliers: Mapping[type, Callable[[Any], None]] = {
            TaskAccepted: self._accepted,
            TaskQueued: self._queued,
            TaskAssigned: self._assigned,
            TaskAdopted: self._adopted,
            TaskStarted: self._started,
            TaskRecords: self._recorded,
            TaskFinished: self._finished,
        }

    @property
    def live_count(self) -> int:
        """How many tasks have not ended."""
        return len(self._live)

    def open(self, row: TaskRow) -> None:
        """Take in a task before its first fact is told."""
        self._live[row.id] = row

    def open_orphan(self, row: TaskRow) -> None:
        """Take in a task for which nobody waits any more: only its last attempt may end it."""
        self.open(row)
        self._orphans.add(row.id)

    def abandon(self, row: TaskRow) -> None:
        """End a task of a call that a restart has cut."""
        self.close(row.id)
        row.status = TaskState.FAILED
        row.error_code = row.error_text_key = "gateway_lost"
        row.finished_at = now = self._clock()
        row.next_retry_at = None
        self.note_state(row, now, row.error_code)
        self._ends.ring(row.id)

    def close(self, task_id: TaskId) -> TaskRow | None:
        """Let go of a task that has ended or was not accepted; None when it is not known."""
        if self._distrusted or self._orphans or self._staying:
            self._distrusted.discard(task_id)
            self._orphans.discard(task_id)
            self._left(task_id)
        return self._live.pop(task_id, None)

    def close_all(self) -> None:
        """Let go of every task: another gateway has them."""
        for task_id in [*self._live]:
            self.close(task_id)
        self._unsafe.clear()

    def get(self, task_id: TaskId) -> TaskRow | None:
        """Return a task that has not ended."""
        return self._live.get(task_id)

    async def drained(self, *, is_kept: bool = False) -> None:
        """Wait until every task has ended.

        With `is_kept` the store outlives this process: tasks that wait are taken up by the next
        one, and only calls are waited for, and attempts that run now. Those would be adopted
        too; but whoever stops a machine stops its workers with it, and what they bring in their
        grace is to be taken.
        """
        if is_kept:
            await self._gone(self.staying())
            return
        while self._live:  # one that is tried again has not ended
            await self._gone({*self._live})

    async def _gone(self, task_ids: set[TaskId]) -> None:
        """Wait until none of these has to be waited for."""
        self._staying = task_ids
        if task_ids:
            self._has_left.clear()
            await self._has_left.wait()

    def staying(self) -> set[TaskId]:
        """Return the tasks that `drained` would wait for if the store outlives this process."""
        return {
            row.id
            for row in self._live.values()
            if not row.is_durable or (row.status in IN_FLIGHT_STATES and row.worker_id)
        }

    def _left(self, task_id: TaskId) -> None:
        """Note that `drained` need not wait for a task any more."""
        if task_id in self._staying:
            self._staying.discard(task_id)
            if not self._staying:
                self._has_left.set()

    def apply(self, effect: DispatcherEffect) -> None:
        """Take in a fact of the dispatcher; those about no task are for others."""
        applier = self.appliers.get(type(effect))
        if applier is not None:
            applier(effect)

    def _accepted(self, fact: TaskAccepted) -> None:
        row = self._live.get(fact.task_id)
        if row is not None:
            self.note_state(row, self._clock())

    def _queued(self, fact: TaskQueued) -> None:
        row = self._live.get(fact.task_id)
        if row is None:
            return
        if fact.parked_on:
            self._parked(row, fact)
            return
        if row.status is TaskState.QUEUED and row.last_number and fact.code is None:
            return  # it has been told: by the gateway before a restart
        now = self._clock()
        row.status = TaskState.QUEUED
        if fact.code is not None:
            row.last_error, row.last_error_message = fact.code.value, fact.message
            row.lost_count += fact.code is OutcomeCode.WORKER_LOST
            row.try_count += fact.code is not OutcomeCode.WORKER_LOST and fact.delay_s > 0
            row.retry_count += 1
        row.next_retry_at = now + fact.delay_s if fact.delay_s else None
        row.worker_id, row.handoff = None, ""
        self.note_state(row, now, fact.code, fact.delay_s)
        if self._staying and row.is_durable:
            self._left(row.id)
        if fact.code is not None and fact.code is not OutcomeCode.WORKER_LOST:
            self._tell_stored(row, fact.attempt)

    def _parked(self, row: TaskRow, fact: TaskQueued) -> None:
        """Note that a task waits for a person without an attempt."""
        is_told = row.status is TaskState.WAITING and row.worker_id is None
        row.status, row.handoff, row.worker_id = TaskState.WAITING, fact.parked_on, None
        if not is_told:  # before a restart, by the gateway of then
            self.note_state(row, self._clock())
            self._tell_stored(row, fact.attempt)
        if row.is_durable:
            self._left(row.id)
        self.on_parked(row, not is_told)

    def _assigned(self, fact: TaskAssigned) -> None:
        row = self._live.get(fact.task_id)
        if row is None:
            return
        now = self._clock()
        task_id, attempt, worker_id = row.id, fact.attempt, fact.worker_id
        row.status = TaskState.ASSIGNED
        row.attempts = attempt
        row.worker_id = worker_id
        row.assigned_at = now
        if attempt > 1:  # what an earlier attempt said is history, and in the log
            row.item_count, row.artifacts, row.fraction, row.progress_text = 0, (), None, ""
            row.received_count, row.handoff = 0, ""
            row.started_at = row.next_retry_at = None
        if fact.is_accepted:
            self._store.note_placed(row)
        else:
            self._store.note(row, now, StateChange(task_id, TaskState.ASSIGNED, attempt, worker_id))
        if self._news.waiting:
            self._news.ring(task_id)

    def _adopted(self, fact: TaskAdopted) -> None:
        """Take back what `_queued` has noted: else each such loss would count towards poison."""
        row = self._live.get(fact.task_id)
        if row is None or row.status is not TaskState.QUEUED:
            return
        row.status = TaskState.RUNNING if fact.is_started else TaskState.ASSIGNED
        row.worker_id = fact.worker_id
        row.next_retry_at = None
        if row.last_error == OutcomeCode.WORKER_LOST.value:
            row.last_error = ""
            row.lost_count = max(0, row.lost_count - 1)
            row.retry_count = max(0, row.retry_count - 1)
        self.note_state(row, self._clock())

    def _started(self, fact: TaskStarted) -> None:
        row = self._live.get(fact.task_id)
        if row is None:
            return
        if row.status in _BEGUN:
            return  # it went on over a restart
        row.status = TaskState.RUNNING
        row.started_at = now = self._clock()
        self.note_state(row, now)

    def park(self, task_id: TaskId, attempt: int, handoff_id: str) -> None:
        """Note that an attempt waits for a person."""
        row = self._live.get(task_id)
        if row is None or row.attempts != attempt or row.status not in IN_FLIGHT_STATES:
            return
        is_told = row.status is TaskState.WAITING and row.handoff == handoff_id
        row.status, row.handoff = TaskState.WAITING, handoff_id
        if not is_told:  # before a restart, by the gateway of then
            self.note_state(row, self._clock())

    def unpark(self, task_id: TaskId, attempt: int) -> None:
        """Note that an attempt goes on."""
        row = self._live.get(task_id)
        if row is None or row.attempts != attempt or row.status is not TaskState.WAITING:
            return
        row.status, row.handoff = TaskState.RUNNING, ""
        self.note_state(row, self._clock())

    def _recorded(self, fact: TaskRecords) -> None:
        row = self._live.get(fact.task_id)
        if row is None:
            return
        row.received_count += len(fact.records)
        for record in fact.records:
            self._record(row, fact.attempt, record)
        self._news.ring(row.id)

    def _record(self, row: TaskRow, attempt: int, record: Record) -> None:
        kind = _KINDS.get(record.kind)
        if kind is None:  # of a newer worker: not ours to judge
            return
        fault = json_fault(record.body)
        if fault:
            row.dropped_count += 1
            self._distrust(row, kind, fault)
            return
        number = self._store.append(row, kind, attempt, record.at, record.body)
        if kind == "item":
            row.item_count += bool(number)  # one that was not kept cannot be fetched
        elif kind == "progress":
            told = _read(_PROGRESS, record.body)
            if told is not None:
                row.fraction, row.progress_text = told.fraction, told.text
        elif record.kind == "recording" and number:
            saved = _read(_ARTIFACT, record.body)
            if saved is not None:
                row.recordings = _with_recording(row.recordings, saved, number, attempt)
        elif kind == "artifact" and number:
            saved = _read(_ARTIFACT, record.body)
            if saved is not None:
                row.artifacts = _with_artifact(row.artifacts, saved, number)

    def _finished(self, fact: TaskFinished) -> None:
        task_id, outcome = fact.task_id, fact.outcome
        row = self._live.get(task_id)
        if row is None:
            return
        code, data = outcome.code, outcome.data
        if self._orphans and code is OutcomeCode.WORKER_LOST and task_id in self._orphans:
            self.abandon(row)
            return
        if data is not None and (fault := json_fault(data)):
            outcome = invalid(outcome, fault)
            code = outcome.code
            self._distrust(row, "data", str(outcome.fields["reason"]))
        if self._distrusted or self._orphans or self._staying:
            self.close(task_id)
        else:
            del self._live[task_id]
        if fact.dropped_reason or row.handoff or row.next_retry_at is not None:
            _let_go(row, fact.dropped_reason, code)
        attempt = fact.attempt
        row.worker_id = worker_id = fact.worker_id or row.worker_id
        if outcome.item_count and not row.dropped_count:
            row.item_count = outcome.item_count
        has_begun = fact.has_begun and row.status not in _BEGUN
        row.finished_at = now = self._clock()
        if has_begun:
            row.started_at = now
        row.attempts = attempt
        row.outcome = outcome
        row.status = status = FINAL_STATE_BY_CODE.get(code, TaskState.FAILED)
        # Who waits for the answer has it before it is written down that it was given.
        self._ends.ring(task_id)
        try:
            self._on_end(row)
        finally:  # what was answered is kept, whatever that has come to
            if has_begun:
                self._store.note_over(row)
            else:
                over = StateChange(task_id, status, attempt, worker_id, code)
                self._store.note(row, now, over)
            if self._news.waiting:
                self._news.ring(task_id)

    def _tell_stored(self, row: TaskRow, attempt: int) -> None:
        """Tell that an attempt that others follow is safe, once what was just noted of it is."""
        if self._on_stored is not None:
            waiting = (row.id, attempt), row.last_number
            self._unsafe.setdefault(row.id, []).append(waiting)

    def _kept(self, tasks: Sequence[tuple[TaskRow, int]]) -> None:
        on_stored = self._on_stored
        if on_stored is None:
            return
        # The last entry of a task that has ended tells its end: with it the last attempt is safe.
        safe = [
            (row.id, row.attempts)
            for row, last_number in tasks
            if row.attempts and row.finished_at is not None and row.last_number == last_number
        ]
        if self._unsafe:
            for row, last_number in tasks:
                safe += self._safe_before(row.id, last_number)
        if safe:  # what comes of it is none of the store's
            asyncio.get_running_loop().call_soon(on_stored, safe)

    def _safe_before(self, task_id: TaskId, last_number: int) -> list[Attempt]:
        """Return the attempts of a task that were followed by others and are safe by now."""
        waiting = self._unsafe.pop(task_id, [])
        left = [each for each in waiting if each[1] > last_number]
        if left:
            self._unsafe[task_id] = left
        return [attempt for attempt, number in waiting if number <= last_number]

    def _distrust(self, row: TaskRow, kind: str, fault: str) -> None:
        if row.id not in self._distrusted:
            self._distrusted.add(row.id)
            self._on_invalid(row, kind, fault)

    def note_state(
        self, row: TaskRow, now: float, code: str | None = None, delay_s: float = NO_DELAY_S
    ) -> None:
        """Add the state of the task to its log, and wake those who follow it."""
        attempt, worker_id = row.attempts, row.worker_id
        change = StateChange(row.id, row.status, attempt, worker_id, code, delay_s, row.handoff)
        self._store.note(row, now, change)
        if self._news.waiting:
            self._news.ring(row.id)


def _let_go(row: TaskRow, dropped_reason: str, code: OutcomeCode) -> None:
    """Note of a task that ends that it waits for nothing more, and why it was given up."""
    row.handoff, row.next_retry_at = "", None
    if dropped_reason:
        row.last_error, row.last_error_message = code.value, ""  # `error` has it all
        row.dropped_reason, row.is_dead_letter = dropped_reason, True


def _read(decoder: msgspec.json.Decoder[Any], body: bytes) -> Any | None:
    """Read what a script said; what cannot be read is kept in the log and counts no further."""
    try:
        return decoder.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _with_artifact(
    known: tuple[ArtifactRow, ...], saved: SavedFile, number: int
) -> tuple[ArtifactRow, ...]:
    """Add a file; one saved again under its name replaces the first."""
    kept = tuple(each for each in known if each.name != saved.name)
    return (*kept, _artifact_row(saved, number))


def _with_recording(
    known: tuple[Recorded, ...], saved: SavedFile, number: int, attempt: int
) -> tuple[Recorded, ...]:
    """Add the recording of an attempt; of many attempts the latest are known."""
    return (*known, Recorded(attempt, _artifact_row(saved, number)))[-_RECORDINGS_COUNT:]


def _artifact_row(saved: SavedFile, number: int) -> ArtifactRow:
    return ArtifactRow(
        name=saved.name,
        size_bytes=saved.size,
        content_type=saved.content_type or "application/octet-stream",
        sha256=saved.sha256,
        number=number,
    )
